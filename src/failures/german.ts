import type { FailureName, FailureText, FailureValue } from './failures.ts';

/** The failures in German. */
export const germanFailures: Record<FailureName, FailureText> = {
  REDIRECT_URI_MISMATCH: {
    title: 'Die Redirect-URI ist nicht eingetragen',
    sentence: 'Der Anbieter lässt die Redirect-URI nicht zu.',
    steps: [
      'Öffnen Sie die OAuth-App in den Entwicklereinstellungen des Anbieters.',
      'Tragen Sie die Redirect-URI unten Zeichen für Zeichen ein und speichern Sie.',
      'Klicken Sie noch einmal auf „Verbinden“.',
    ],
  },
  FLOW_NOT_RETURNED: {
    title: 'Der Anbieter hat den Browser nicht zurückgeschickt',
    sentence:
      'Eine Verbindung wurde begonnen, aber der Anbieter hat den Browser nicht zurückgeschickt. Meist ist dort die Redirect-URI nicht eingetragen.',
    steps: [
      'Hat die Seite des Anbieters die Redirect-URI genannt, tragen Sie die Redirect-URI unten Zeichen für Zeichen bei der OAuth-App ein.',
      'War von einer gesperrten oder nicht überprüften App die Rede, nehmen Sie das Konto bei den Testnutzern auf oder veröffentlichen Sie die App.',
      'Wurde nur das Fenster geschlossen, klicken Sie noch einmal auf „Verbinden“.',
    ],
  },
  ORIGIN_NOT_REGISTERED: {
    title: 'Die Seite gehört nicht zur App',
    sentence: 'Die App hat die Herkunft (Origin) dieser Seite nicht eingetragen.',
    steps: [
      'Tragen Sie die Herkunft unten mit editApp bei der App ein: PREVIEW für eine Vorschau, CUSTOM für eine eigene Domain.',
      'Tragen Sie die neue Redirect-URI der App beim Anbieter ein.',
      'Versuchen Sie es auf der Seite noch einmal.',
    ],
  },
  INVALID_CLIENT: {
    title: 'Client-ID oder Client-Secret ist falsch',
    sentence: 'Der Anbieter erkennt Client-ID oder Client-Secret des Connectors nicht an.',
    steps: [
      'Kopieren Sie Client-ID und Client-Secret noch einmal aus den Einstellungen des Anbieters.',
      'Tragen Sie beide mit {enterClient} ein.',
      'Klicken Sie noch einmal auf „Verbinden“.',
    ],
  },
  INVALID_SCOPE: {
    title: 'Die Scopes werden nicht anerkannt',
    sentence: 'Der Anbieter erkennt die Scopes des Connectors nicht an.',
    steps: [
      'Vergleichen Sie die Scopes unten mit denen, die der Anbieter dokumentiert und seiner OAuth-App erlaubt.',
      'Berichtigen Sie sie mit editConnector, einen je Zeile, oder schalten Sie sie bei der OAuth-App frei.',
      'Klicken Sie noch einmal auf „Verbinden“.',
    ],
  },
  SCOPES_CHANGED: {
    title: 'Der Connector verlangt jetzt andere Scopes',
    sentence: 'Der Connector verlangt andere Scopes, als Sie erlaubt haben.',
    steps: ['Klicken Sie auf „Neu verbinden“ und erlauben Sie den Zugriff noch einmal.'],
  },
  PROVIDER_TESTING_MODE: {
    title: 'Dieses Konto darf die App beim Anbieter nicht benutzen',
    sentence: 'Der Anbieter erlaubt diesem Konto nicht, die OAuth-App des Connectors zu benutzen.',
    steps: [
      'Nehmen Sie das Konto in den Einstellungen des Anbieters bei den Testnutzern auf, oder veröffentlichen Sie die OAuth-App.',
      'Beschränkt eine Organisation Apps, bitten Sie ihre Administratoren, die OAuth-App mit der Client-ID unten freizugeben.',
      'Klicken Sie noch einmal auf „Verbinden“.',
    ],
  },
  CONSENT_DENIED: {
    title: 'Der Zugriff wurde nicht erlaubt',
    sentence: 'Der Zugriff wurde beim Anbieter nicht erlaubt. Es hat sich nichts geändert.',
    steps: [
      'Klicken Sie noch einmal auf „Verbinden“, wenn Sie möchten.',
      'Wählen Sie auf der Seite des Anbieters „Zulassen“.',
    ],
  },
  FLOW_EXPIRED: {
    title: 'Dieser Link gilt nicht mehr',
    sentence: 'Dieser Link zum Verbinden ist abgelaufen oder wurde schon benutzt.',
    steps: ['Gehen Sie zurück zur App.', 'Klicken Sie noch einmal auf „Verbinden“.'],
  },
  FLOW_MISMATCH: {
    title: 'Jemand anderes hat diese Verbindung begonnen',
    sentence:
      'Diese Verbindung wurde von jemand anderem oder auf einer anderen Seite begonnen. Es wurde nichts verbunden.',
    steps: ['Öffnen Sie die App selbst und melden Sie sich an.', 'Klicken Sie dort auf „Verbinden“.'],
  },
  ANSWER_TOO_LARGE: {
    title: 'Die Antwort des Anbieters ist nicht lesbar',
    sentence: 'Die Antwort des Anbieters ist zu groß, um eine zu sein. Es wurde nichts verbunden.',
    steps: ['Gehen Sie zurück zur App.', 'Klicken Sie noch einmal auf „Verbinden“.'],
  },
  CONNECTOR_CHANGED: {
    title: 'Der Connector wurde inzwischen geändert',
    sentence: 'Der Connector wurde geändert, während Sie beim Anbieter waren. Es wurde nichts verbunden.',
    steps: [
      'Gehen Sie zurück zur App.',
      'Klicken Sie noch einmal auf „Verbinden“: Gefragt wird dann nach dem, was der Connector jetzt braucht.',
    ],
  },
  CONNECTOR_DELETED: {
    title: 'Der Connector wurde gelöscht',
    sentence: 'Es gibt keinen Connector mit dieser ID.',
    steps: ['Legen Sie den Connector mit addConnector neu an.', 'Setzen Sie seine neue ID in den Code der App ein.'],
  },
  CONNECTOR_DISABLED: {
    title: 'Der Anbieter ist ausgeschaltet',
    sentence: 'Dieser Anbieter ist in diesem Workspace ausgeschaltet. Es wurde nichts gelöscht.',
    steps: ['Schalten Sie den Anbieter mit setProviderAvailability wieder ein.'],
  },
  CONNECTOR_INCOMPLETE: {
    title: 'Der Connector ist noch ein Entwurf',
    sentence: 'Dieser Connector hat noch keine Client-ID oder kein Client-Secret.',
    steps: [
      'Registrieren Sie beim Anbieter eine OAuth-App mit den Redirect-URIs des Connectors.',
      'Tragen Sie Client-ID und Client-Secret mit editConnector ein.',
    ],
  },
  PROVIDER_UNAVAILABLE: {
    title: 'Der Anbieter antwortet nicht',
    sentence:
      'Der Anbieter ist gerade nicht zu benutzen. Die Verbindung bleibt bestehen; versuchen Sie es in {retryAfterSeconds} Sekunden wieder.',
    steps: ['Warten Sie, bis der Anbieter wieder antwortet.', 'Wiederholen Sie, was Sie getan haben.'],
  },
  PROVIDER_UNREACHABLE: {
    title: 'Der Anbieter antwortet nicht',
    sentence:
      'Der Anbieter ist gerade nicht zu benutzen. Es wurde nichts verbunden; klicken Sie in {retryAfterSeconds} Sekunden noch einmal auf „Verbinden“.',
    steps: [
      'Warten Sie, bis der Anbieter wieder antwortet.',
      'Klicken Sie in {retryAfterSeconds} Sekunden noch einmal auf „Verbinden“.',
    ],
  },
  ENDPOINT_UNREACHABLE: {
    title: 'Eine Adresse des Anbieters ist nicht erreichbar',
    sentence: 'Unter dieser Adresse ist der Anbieter nicht erreichbar.',
    steps: [
      'Vergleichen Sie die Adresse mit der Dokumentation des Anbieters, und berichtigen Sie sie mit editConnector.',
      'Ist sie richtig, so ist der Anbieter vielleicht ausgefallen: Prüfen Sie später noch einmal mit checkConnector.',
    ],
  },
  ADDRESS_BLOCKED: {
    title: 'Die Adresse des Anbieters ist nicht zugelassen',
    sentence: 'Die Adresse des Anbieters liegt nicht im öffentlichen Internet; dieser Dienst fragt dort nicht an.',
    steps: [
      'Ist es ein Anbieter in Ihrem eigenen Netz, nehmen Sie seinen Host in ALLOWED_PROVIDER_HOSTS auf und starten Sie den Dienst neu.',
      'Sonst berichtigen Sie die Adresse mit editConnector.',
    ],
  },
};

export const germanLabels: Record<FailureValue, string> = {
  redirectUris: 'Redirect-URI',
  origin: 'Herkunft (Origin)',
  clientId: 'Client-ID',
  scopes: 'Scope',
  host: 'Host',
  provider: 'Anbieter',
};
