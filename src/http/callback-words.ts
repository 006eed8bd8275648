import type { Language } from '../failures/tell.ts';
import type { RemedyActor } from '../lib/domain-error.ts';

/** What the callback's page says besides the failure itself. */
interface CallbackWords {
  connected: string;
  closeWindow: string;
  notConnected: string;
  whatToDo: string;
  /** Who has to act, said to whoever reads the page. */
  actors: Record<RemedyActor, string>;
  valuesToPaste: string;
  copy: string;
  copied: string;
  documentation: string;
  errorCode: string;
}

export const callbackWords: Record<Language, CallbackWords> = {
  en: {
    connected: 'The account is connected',
    closeWindow: 'You can close this window and go back to the app.',
    notConnected: 'The account was not connected',
    whatToDo: 'What to do',
    actors: {
      USER: 'You can do this yourself.',
      ADMIN: 'This is for whoever looks after the app. If that is not you, show them this page.',
      PROVIDER: 'Only the provider can mend this.',
      OPERATOR: 'This is for whoever runs this service. If that is not you, show them this page.',
    },
    valuesToPaste: 'Values to paste',
    copy: 'Copy',
    copied: 'Copied',
    documentation: "The provider's documentation",
    errorCode: 'Error code',
  },
  de: {
    connected: 'Das Konto ist verbunden',
    closeWindow: 'Sie können dieses Fenster schließen und zur App zurückgehen.',
    notConnected: 'Das Konto wurde nicht verbunden',
    whatToDo: 'Was zu tun ist',
    actors: {
      USER: 'Das können Sie selbst tun.',
      ADMIN:
        'Das ist etwas für die Person, die sich um die App kümmert. Sind Sie es nicht, zeigen Sie ihr diese Seite.',
      PROVIDER: 'Nur der Anbieter kann das beheben.',
      OPERATOR:
        'Das ist etwas für die Person, die diesen Dienst betreibt. Sind Sie es nicht, zeigen Sie ihr diese Seite.',
    },
    valuesToPaste: 'Werte zum Einfügen',
    copy: 'Kopieren',
    copied: 'Kopiert',
    documentation: 'Dokumentation des Anbieters',
    errorCode: 'Fehlercode',
  },
};
