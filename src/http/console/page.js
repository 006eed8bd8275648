// The console's page: signs in, then opens GraphiQL with the workspace's tasks. Runs in the browser as it stands here.

const asset = (name) => new URL(name, import.meta.url).href;
const element = (id) => document.getElementById(id);

/** Who a credential belongs to, and their workspaces. Throws a sentence for people. */
async function recognise(credential, question) {
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${credential}` },
    body: JSON.stringify({ query: question }),
  }).catch(() => null);
  const answer = await response?.json().catch(() => null);
  if (!answer) throw new Error('The service does not answer. Try again in a moment.');
  const { viewer, workspaces } = answer.data ?? {};
  const [error] = answer.errors ?? [];
  if (error?.extensions?.code === 'FORBIDDEN') {
    throw new Error('This is not a key of a workspace. The key of an app cannot sign in here.');
  }
  if (!viewer || !workspaces) throw new Error(error?.message ?? 'The service gave no answer.');
  return { name: viewer.subject ?? 'operator', workspaces: workspaces.edges.map(({ node }) => node) };
}

/** What a task's variables may name, as far as the workspace has it. */
function valuesOf(workspace) {
  const first = (list) => list?.edges[0]?.node.id ?? '';
  return {
    workspaceId: workspace?.id ?? '',
    appId: first(workspace?.apps),
    connectorId: first(workspace?.connectors),
    sharedConnectorId: first(workspace?.shared),
  };
}

function fill(variables, values) {
  const text = JSON.stringify(variables, null, 2);
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** GraphiQL would keep what is typed in the browser's storage, client secrets included. Here it lasts as long as the page. */
function memoryStorage() {
  const values = new Map();
  return {
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => void values.set(key, value),
    removeItem: (key) => void values.delete(key),
    clear: () => values.clear(),
    get length() {
      return values.size;
    },
  };
}

/** Colours for what does not stand out from the editors' grounds as it comes (WCAG 1.4.3), by the theme that GraphiQL's is made from. */
const legible = {
  'vs-dark': {
    rules: [
      { token: 'comment', foreground: '93b97f' },
      { token: 'annotation', foreground: 'e79a9a' },
    ],
    colors: { 'editorBracketHighlight.foreground2': '#e391df', 'editorBracketHighlight.foreground3': '#4db6ff' },
  },
  vs: {
    rules: [
      { token: 'number', foreground: '0a7a50' },
      { token: 'annotation', foreground: '636363' },
    ],
    colors: { 'editorBracketHighlight.foreground2': '#287a28' },
  },
};

/** Also follows the system's dark or light while the page is open: GraphiQL's style does, its editors would stay as they were. */
function mendColours(editor) {
  const { defineTheme } = editor;
  const themes = {};
  editor.defineTheme = (name, theme) => {
    themes[theme.base] = name;
    const { rules, colors } = legible[theme.base];
    defineTheme(name, { ...theme, rules: [...theme.rules, ...rules], colors: { ...theme.colors, ...colors } });
  };
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', ({ matches }) => {
    editor.setTheme(themes[matches ? 'vs-dark' : 'vs']);
  });
}

/**
 * GraphiQL marks its tabs as ARIA's, which may hold nothing to press, and puts two buttons into each. They are a list of buttons:
 * the one of the open task says so, and each that closes says what. Its explorer's choice of a new operation's kind has no name.
 */
function mendNames(graphiql) {
  const mend = () => {
    const list = graphiql.querySelector('.graphiql-tabs');
    list?.removeAttribute('role');
    for (const tab of list?.querySelectorAll('.graphiql-tab') ?? []) {
      tab.removeAttribute('role');
      tab.removeAttribute('aria-selected');
      const open = tab.querySelector('.graphiql-tab-button');
      if (tab.matches('.graphiql-tab-active')) open.setAttribute('aria-current', 'true');
      else open.removeAttribute('aria-current');
      tab.querySelector('.graphiql-tab-close')?.setAttribute('aria-label', `Close ${open.title}`);
    }
    for (const kind of graphiql.querySelectorAll('.graphiql-explorer-actions select'))
      kind.ariaLabel = 'Kind of operation';
  };
  const attributeFilter = ['aria-selected', 'title'];
  new MutationObserver(mend).observe(graphiql, { subtree: true, childList: true, attributeFilter });
}

let loading = null;

/** Loads GraphiQL, once, from this service. */
function loadGraphiql() {
  loading ??= new Promise((resolve, reject) => {
    self.MonacoEnvironment = { globalAPI: true, getWorkerUrl: (_module, label) => asset(`worker-${label}.js`) };
    const style = Object.assign(document.createElement('link'), { rel: 'stylesheet', href: asset('graphiql.css') });
    const script = Object.assign(document.createElement('script'), { src: asset('graphiql.js') });
    script.onload = () => {
      mendColours(self.monaco.editor);
      resolve(self.YogaGraphiQL);
    };
    script.onerror = () => reject(new Error('The editor could not be loaded. Try again in a moment.'));
    document.head.prepend(style);
    document.head.append(script);
  });
  return loading;
}

const kept = 'console:credential';
const keptChoice = 'console:workspace';

async function signIn(credential) {
  const { question, tasks } = await (await fetch(asset('tasks.json'))).json();
  const [{ name, workspaces }, graphiql] = await Promise.all([recognise(credential, question), loadGraphiql()]);
  sessionStorage.setItem(kept, credential);
  element('credential').value = '';
  element('subject').textContent = name;
  const choice = element('workspace');
  choice.replaceChildren(...workspaces.map(({ id, name: label }) => new Option(label, id)));
  const chosen = workspaces.find(({ id }) => id === sessionStorage.getItem(keptChoice)) ?? workspaces[0];
  choice.value = chosen?.id ?? '';
  choice.onchange = () => {
    sessionStorage.setItem(keptChoice, choice.value);
    location.reload();
  };
  element('sign-in').hidden = true;
  element('signed-in').hidden = false;
  const values = valuesOf(chosen);
  const defaultTabs = tasks.map(({ query, variables }) => ({ query, variables: fill(variables, values) }));
  mendNames(element('graphiql'));
  graphiql.renderYogaGraphiQL(element('graphiql'), {
    endpoint: '/graphql',
    method: 'POST',
    title: 'Tasks',
    logo: '',
    defaultTabs,
    variables: defaultTabs[0].variables,
    additionalHeaders: { Authorization: `Bearer ${credential}` },
    isHeadersEditorEnabled: false,
    shouldPersistHeaders: false,
    storage: memoryStorage(),
    forcedTheme: 'system', // the page around it knows no other
    onEditQuery: () => {}, // or it would write the query into the address
  });
}

function showFault(error) {
  sessionStorage.removeItem(kept);
  element('fault').textContent = error.message;
  element('credential').focus();
}

element('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  element('fault').textContent = '';
  signIn(element('credential').value.trim()).catch(showFault);
});

element('sign-out').addEventListener('click', () => {
  sessionStorage.clear();
  location.reload();
});

history.replaceState(null, '', location.pathname); // an operation in the address would be opened by GraphiQL
const credential = sessionStorage.getItem(kept);
if (credential !== null) signIn(credential).catch(showFault);
