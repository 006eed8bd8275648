/** The service cannot start, for a reason that its operator can mend. The message is for them, and holds no secret. */
export class StartupError extends Error {
  override readonly name: string = 'StartupError';
}
