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
  /** Errors that are in no table of failures, by their code, where the API's language is another one. */
  others: Readonly<Record<string, { sentence: string; steps: readonly string[] }>>;
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
    others: {},
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
    others: {
      PLAN_REQUIRED: {
        sentence: 'Dafür braucht der Workspace einen höheren Plan. Es ist nichts verloren gegangen.',
        steps: ['Heben Sie den Plan des Workspace an.', 'Danach geht sofort alles wieder.'],
      },
      FORBIDDEN: {
        sentence: 'Ihre Rolle im Workspace reicht dafür nicht aus.',
        steps: ['Bitten Sie eine Person mit der Rolle OWNER oder ADMIN, es zu tun oder Ihre Rolle zu ändern.'],
      },
      ACCOUNT_OWNED: {
        sentence: 'Jemand anderes hat dieses gemeinsame Konto verbunden. Es hat sich nichts geändert.',
        steps: [
          'Fragen Sie diese Person, ob es ersetzt werden darf.',
          'Beginnen Sie noch einmal mit takeOver: true und verbinden Sie Ihr Konto an seiner Stelle.',
        ],
      },
      RATE_LIMITED: { sentence: 'Zu viele Anfragen. Versuchen Sie es etwas später noch einmal.', steps: [] },
    },
  },
};
