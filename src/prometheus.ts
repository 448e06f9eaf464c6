/** The Prometheus text format. Pure; knows nothing of what is measured. */

export interface Metric {
  name: string;
  help: string;
  /** Default: gauge. */
  type?: 'gauge' | 'counter' | 'histogram';
  samples: Sample[];
}

export interface Sample {
  value: number;
  labels?: Record<string, string>;
  /** `_bucket`, `_sum` or `_count` of a histogram. */
  suffix?: string;
}

/** The metrics as text, without those that have no sample. `prefix` begins every name. */
export function metricsText(prefix: string, metrics: Metric[]): string {
  const blocks = metrics.filter(({ samples }) => samples.length > 0).map((one) => block(prefix, one));
  return `${blocks.join('\n')}\n`;
}

function block(prefix: string, { name, help, type = 'gauge', samples }: Metric): string {
  const full = prefix + name;
  const lines = samples.map(({ value, labels = {}, suffix = '' }) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
    return `${full}${suffix}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`;
  });
  return [`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`, ...lines].join('\n');
}

/** The format has three escapes in label values. */
function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
