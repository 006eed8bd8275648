/**
 * Prints what production installs as CycloneDX. `npm sbom --omit=dev` by itself leaves out whatever something for development needs as
 * well, and names what is optional.
 */
import { execFileSync } from 'node:child_process';
import { nameAt, productionPackages } from './production-packages.ts';

interface Bom {
  metadata: { component: { 'bom-ref': string } };
  components: { 'bom-ref': string }[];
  dependencies: { ref: string; dependsOn: string[] }[];
}

const text = execFileSync('npm', ['sbom', '--package-lock-only', '--sbom-format=cyclonedx'], {
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024,
});
const bom = JSON.parse(text) as Bom;
const installed = new Set(productionPackages().map(([path, { version }]) => `${nameAt(path)}@${version}`));
const components = bom.components.filter((component) => installed.has(component['bom-ref']));
const listed = new Set(components.map((component) => component['bom-ref']));
const missing = [...installed].filter((ref) => !listed.has(ref));
if (missing.length > 0) throw new Error(`npm sbom does not name ${missing.join(', ')}.`);
const dependencies = bom.dependencies
  .filter(({ ref }) => listed.has(ref) || ref === bom.metadata.component['bom-ref'])
  .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((other) => listed.has(other)) }));
console.log(JSON.stringify({ ...bom, components, dependencies }, null, 2));
