/** Something that the service needs does not answer for the moment, and nothing was decided. The message is public: what to do is to try again. */
export class UnavailableError extends Error {
  override readonly name = 'UnavailableError';
}
