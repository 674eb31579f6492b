// Sizes, times and numbers as people read them.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** A number of bytes, such as `1.4 MiB`. */
export function bytes(count) {
  let value = Number(count);
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit && value < 100 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

/** A number of bytes in the largest unit in which it is whole, as limits are written: `48MiB`. */
export function withUnit(count) {
  let value = count;
  let unit = 0;
  while (value > 0 && value % 1024 === 0 && unit < UNITS.indexOf("GiB")) {
    value /= 1024;
    unit += 1;
  }
  return unit ? `${value}${UNITS[unit]}` : String(value);
}

/** A whole number with thousands set apart. */
export function number(value) {
  return Number(value).toLocaleString("en");
}

/** `1 file`, `2 files`, `2 batches`. */
export function count(value, noun, plural = noun.endsWith("ch") ? `${noun}es` : `${noun}s`) {
  return `${number(value)} ${Number(value) === 1 ? noun : plural}`;
}

/** A date from what the API gives: Unix seconds or RFC 3339; undefined for nothing. */
export function date(value) {
  if (value === null || value === undefined || value === "") return undefined;
  return new Date(typeof value === "number" ? value * 1000 : value);
}

/** `2026-04-09 14:03:07` in UTC, which is what the API speaks. */
export function clockTime(value) {
  return value.toISOString().slice(0, 19).replace("T", " ");
}

const STEPS = [[86_400, "day"], [3_600, "hour"], [60, "minute"], [1, "second"]];

/** A length of time in its largest unit: `3 hours`. */
export function duration(seconds) {
  const size = Math.abs(seconds);
  for (const [step, name] of STEPS) {
    if (size >= step) return count(Math.floor(size / step), name);
  }
  return "0 seconds";
}

/** How far a moment is from another: `in 3 hours`, `5 minutes ago`, `now`. */
export function relative(moment, now) {
  const seconds = Math.round((moment - now) / 1000);
  if (Math.abs(seconds) < 1) return "now";
  return seconds > 0 ? `in ${duration(seconds)}` : `${duration(seconds)} ago`;
}

/** Milliseconds with as many digits as matter. */
export function milliseconds(value) {
  if (value < 0.1) return "< 0.1 ms";
  return value < 10 ? `${value.toFixed(1)} ms` : value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}
