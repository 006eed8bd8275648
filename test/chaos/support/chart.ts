export interface Chart {
  title: string;
  minutes: number;
  marks: { at: number; text: string }[];
  lines: { name: string; points: (readonly [minute: number, value: number])[] }[];
}

const width = 860;
const panelHeight = 90;
const [left, top] = [60, 44];
const inner = width - left - 20;

/** Lines over time, each in a panel of its own that begins at zero, as SVG. */
export function lineChart({ title, minutes, marks, lines }: Chart): string {
  const x = (at: number) => (left + (at / minutes) * inner).toFixed(1);
  const panels = lines.map(({ name, points }, index) => {
    const base = top + (index + 1) * (panelHeight + 30) - 20;
    const highest = Math.max(1, ...points.map(([, value]) => value)) * 1.1;
    const path = points
      .map(([at, value]) => `${x(at)},${(base - (value / highest) * panelHeight).toFixed(1)}`)
      .join(' ');
    return `<text x="${left}" y="${base - panelHeight - 4}">${name}, at most ${Math.round(highest / 1.1)}</text>
<line x1="${left}" x2="${left + inner}" y1="${base}" y2="${base}" stroke="#888"/>
<polyline fill="none" stroke="#2563eb" stroke-width="1.5" points="${path}"/>`;
  });
  const height = top + lines.length * (panelHeight + 30) + 24;
  const stripes = marks.map(
    ({ at, text }) =>
      `<line x1="${x(at)}" x2="${x(at)}" y1="${top}" y2="${height - 44}" stroke="#dc2626" stroke-dasharray="4 3"/><text x="${x(at)}" y="${height - 26}" fill="#dc2626" text-anchor="middle">${text}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
<text x="${left}" y="22" font-size="14">${title}</text>
${[...panels, ...stripes].join('\n')}
<text x="${left}" y="${height - 8}">0</text><text x="${left + inner}" y="${height - 8}" text-anchor="end">${minutes} minutes</text>
</svg>
`;
}
