// Numbers as people read them. Units always follow the value.

export function milliseconds(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return Math.abs(value) < 10_000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}

export function seconds(valueMs: number | null | undefined): string {
  if (valueMs === null || valueMs === undefined || !Number.isFinite(valueMs)) return "–";
  return `${(valueMs / 1000).toFixed(2)} s`;
}

export function bitrate(bitsPerSecond: number | null | undefined): string {
  if (!bitsPerSecond) return "–";
  return bitsPerSecond >= 1e6 ? `${(bitsPerSecond / 1e6).toFixed(1)} Mb/s` : `${Math.round(bitsPerSecond / 1e3)} kb/s`;
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, value)) / 3));
  return `${(value / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

/** "4 s", "12 min", "3 h 05 min", "2 d 4 h". */
export function duration(valueMs: number): string {
  const total = Math.max(0, Math.floor(valueMs / 1000));
  if (total < 60) return `${total} s`;
  const minutes = Math.floor(total / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** 30000/1001 as "29.97", 30/1 as "30". */
export function rate(value: { num: number; den: number } | null | undefined): string {
  if (!value) return "–";
  return String(Number((value.num / value.den).toFixed(2)));
}
