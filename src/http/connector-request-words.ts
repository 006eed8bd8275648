import type { RequestStatus } from '../connectors/request.ts';
import type { Language } from '../failures/tell.ts';

export type FieldName = 'name' | 'kind' | 'clientId' | 'clientSecret';

/** What the form of an assistant's request says. What the catalogue says of a provider is in English only. */
interface RequestWords {
  kicker: string;
  addTitle: (provider: string) => string;
  changeTitle: (connector: string) => string;
  ownProvider: string;
  askedFor: string;
  workspace: string;
  askedBy: string;
  workspaceKey: (name: string) => string;
  throughAssistant: (who: string, assistant: string) => string;
  provider: string;
  destination: string;
  scopes: string;
  scopesFromNowOn: string;
  none: string;
  whereToGet: string;
  documentation: (provider: string) => string;
  redirectUris: string;
  letterByLetter: string;
  whatToAdd: string;
  whatToChange: string;
  name: string;
  nameHint: string;
  kind: string;
  kinds: Record<'APP_USER' | 'SHARED', [label: string, hint: string]>;
  clientId: string;
  keepClientHint: string;
  operatorClientHint: string;
  clientSecret: string;
  clientSecretHint: string;
  approveAddition: string;
  approveChange: string;
  reject: string;
  later: string;
  laterHint: string;
  worksOnceUntil: (time: string) => string;
  nothingSaved: string;
  outcomes: Record<'approved' | 'rejected' | 'postponed', [title: string, sentence: string]>;
  nothingToDecide: string;
  cannotApprove: string;
  /** Errors that are in no table of failures; null where they tell it themselves. */
  errors: {
    over: Record<RequestStatus, string>;
    overSteps: string[];
    forbidden: string;
    forbiddenSteps: string[];
    planRequired: (plan: string) => string;
    planRequiredSteps: string[];
    /** What a field takes, whatever was wrong with it. */
    fields: Record<FieldName, string>;
  } | null;
}

export const requestWords: Record<Language, RequestWords> = {
  en: {
    kicker: 'An assistant asks',
    addTitle: (provider) => `Add a connector for ${provider}?`,
    changeTitle: (connector) => `Change the connector ${connector}?`,
    ownProvider: 'a provider of your own',
    askedFor: 'What is asked for',
    workspace: 'Workspace',
    askedBy: 'Asked by',
    workspaceKey: (name) => `the workspace key “${name}”`,
    throughAssistant: (who, assistant) => `${who}, through an assistant that calls itself “${assistant}”`,
    provider: 'Provider',
    destination: 'The client secret will be sent to',
    scopes: 'Permissions (scopes)',
    scopesFromNowOn: 'Permissions (scopes) from now on',
    none: 'None',
    whereToGet: 'Where to get the client id and secret',
    documentation: (provider) => `Documentation of ${provider} (opens a new tab)`,
    redirectUris: 'Redirect URIs to register at the provider',
    letterByLetter: 'Letter by letter',
    whatToAdd: 'What to add',
    whatToChange: 'What to change',
    name: 'Name',
    nameHint: 'What your team will know the connector by.',
    kind: 'Whose account is connected?',
    kinds: {
      APP_USER: ['Each user’s own account', 'Every person who uses an app connects an account of their own.'],
      SHARED: ['One shared account', 'A member connects one account, which everyone in an app uses.'],
    },
    clientId: 'Client id',
    keepClientHint: 'Leave it blank to keep the present one. Another client asks every user to connect again.',
    operatorClientHint: 'For one shared account, both may stay blank: the operator of this service has a client.',
    clientSecret: 'Client secret',
    clientSecretHint: 'It is stored encrypted, is never shown again, and does not reach the chat.',
    approveAddition: 'Approve and add',
    approveChange: 'Approve the change',
    reject: 'Reject',
    later: 'Later',
    laterHint: 'Later keeps this link for a day. Rejecting ends it.',
    worksOnceUntil: (time) => `This link works once, until ${time}. Did you not ask an assistant for this? Reject it.`,
    nothingSaved: 'Nothing was saved',
    outcomes: {
      approved: [
        'It is done',
        'The connector is set up, and ready in every app of the workspace. Go back to the chat.',
      ],
      rejected: ['Rejected', 'Nothing was added or changed. The assistant will be told when it asks.'],
      postponed: ['Later', 'Nothing was added or changed. The same link works until a day after it was made.'],
    },
    nothingToDecide: 'There is nothing to decide here',
    cannotApprove: 'This cannot be approved now',
    errors: null,
  },
  de: {
    kicker: 'Ein Assistent fragt',
    addTitle: (provider) => `Einen Connector für ${provider} anlegen?`,
    changeTitle: (connector) => `Den Connector ${connector} ändern?`,
    ownProvider: 'einen eigenen Anbieter',
    askedFor: 'Worum gebeten wird',
    workspace: 'Workspace',
    askedBy: 'Gebeten hat',
    workspaceKey: (name) => `der Workspace-Schlüssel „${name}“`,
    throughAssistant: (who, assistant) => `${who}, durch einen Assistenten, der sich „${assistant}“ nennt`,
    provider: 'Anbieter',
    destination: 'Das Client-Secret wird gesendet an',
    scopes: 'Berechtigungen (Scopes)',
    scopesFromNowOn: 'Berechtigungen (Scopes) von jetzt an',
    none: 'Keine',
    whereToGet: 'Woher Client-ID und Client-Secret kommen',
    documentation: (provider) => `Dokumentation von ${provider} (öffnet einen neuen Tab)`,
    redirectUris: 'Redirect-URIs, die beim Anbieter einzutragen sind',
    letterByLetter: 'Zeichen für Zeichen',
    whatToAdd: 'Was angelegt wird',
    whatToChange: 'Was geändert wird',
    name: 'Name',
    nameHint: 'Unter diesem Namen findet Ihr Team den Connector.',
    kind: 'Wessen Konto wird verbunden?',
    kinds: {
      APP_USER: ['Das eigene Konto jedes Nutzers', 'Alle, die eine App benutzen, verbinden ein eigenes Konto.'],
      SHARED: ['Ein gemeinsames Konto', 'Ein Mitglied verbindet ein Konto, das alle in einer App benutzen.'],
    },
    clientId: 'Client-ID',
    keepClientHint:
      'Bleibt das Feld leer, gilt die jetzige weiter. Mit einem anderen Client müssen sich alle Nutzer neu verbinden.',
    operatorClientHint:
      'Für ein gemeinsames Konto kann beides leer bleiben: Der Betreiber dieses Dienstes hat einen Client.',
    clientSecret: 'Client-Secret',
    clientSecretHint: 'Es wird verschlüsselt gespeichert, nie wieder angezeigt und erreicht den Chat nicht.',
    approveAddition: 'Zustimmen und anlegen',
    approveChange: 'Der Änderung zustimmen',
    reject: 'Ablehnen',
    later: 'Später',
    laterHint: '„Später“ hält diesen Link einen Tag lang offen. „Ablehnen“ beendet ihn.',
    worksOnceUntil: (time) =>
      `Dieser Link gilt einmal, bis ${time}. Haben Sie keinen Assistenten darum gebeten? Dann lehnen Sie ab.`,
    nothingSaved: 'Es wurde nichts gespeichert',
    outcomes: {
      approved: [
        'Es ist erledigt',
        'Der Connector ist eingerichtet und in jeder App des Workspace bereit. Gehen Sie zurück zum Chat.',
      ],
      rejected: ['Abgelehnt', 'Es wurde nichts angelegt oder geändert. Der Assistent erfährt es, wenn er fragt.'],
      postponed: [
        'Später',
        'Es wurde nichts angelegt oder geändert. Derselbe Link gilt bis einen Tag nach seiner Entstehung.',
      ],
    },
    nothingToDecide: 'Hier gibt es nichts zu entscheiden',
    cannotApprove: 'Dem kann jetzt nicht zugestimmt werden',
    errors: {
      over: {
        OPEN: 'Über die Anfrage wird gerade entschieden.',
        POSTPONED: 'Über die Anfrage wird gerade entschieden.',
        APPROVED: 'Ihr wurde zugestimmt, und der Link gilt kein zweites Mal.',
        REJECTED: 'Sie wurde abgelehnt, und der Link gilt nicht mehr.',
        EXPIRED: 'Der Link ist hier nicht bekannt, oder seine Zeit ist um.',
      },
      overSteps: [
        'Gehen Sie zurück zum Chat.',
        'Bitten Sie den Assistenten um einen neuen Link, wenn Sie noch einen brauchen.',
      ],
      forbidden: 'Wer darum gebeten hat, darf das in diesem Workspace nicht mehr.',
      forbiddenSteps: [
        'Bitten Sie den Assistenten noch einmal, mit dem Zugang von jemandem, der Connectoren einrichten darf.',
      ],
      planRequired: (plan) =>
        `Dafür braucht der Workspace den Plan ${plan} oder einen höheren. Es ging nichts verloren.`,
      planRequiredSteps: ['Heben Sie den Plan des Workspace an.', 'Danach geht alles sofort wieder.'],
      fields: {
        name: 'Geben Sie einen Namen mit höchstens 100 Zeichen ein, ohne Zeilenumbrüche.',
        kind: 'Wählen Sie, wessen Konto es ist.',
        clientId:
          'Geben Sie die Client-ID vollständig ein: Kopieren Sie sie noch einmal aus den Einstellungen des Anbieters.',
        clientSecret:
          'Geben Sie das Client-Secret vollständig ein: Kopieren Sie es noch einmal aus den Einstellungen des Anbieters.',
      },
    },
  },
};
