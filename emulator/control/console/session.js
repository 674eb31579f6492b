// What this browser tab remembers: the team (in the address), its keys, the collections used last, the colours.

const INFERENCE_KEY = "xai-emulator";
const MANAGEMENT_KEY = "xai-token-emulator";
const DEFAULT_TEAM = "default";
const THEMES = ["system", "light", "dark"];

/** The team that the address names. */
export function currentTeam() {
  return new URLSearchParams(location.search).get("team") || DEFAULT_TEAM;
}

/** The address of the same page for another team. */
export function teamAddress(team) {
  return `${location.pathname}${team === DEFAULT_TEAM ? "" : `?team=${encodeURIComponent(team)}`}`;
}

/** The keys of a team: those that were typed in, else the well-known ones with the team's suffix. */
export function keysOf(team) {
  const typed = sessionStorage.getItem(`keys:${team}`);
  if (typed) return JSON.parse(typed);
  const suffix = team === DEFAULT_TEAM ? "" : `@${team}`;
  return { inference: INFERENCE_KEY + suffix, management: MANAGEMENT_KEY + suffix };
}

/** Keeps the keys that were typed in, for as long as the tab is open. */
export function keepKeys(team, keys) {
  sessionStorage.setItem(`keys:${team}`, JSON.stringify(keys));
}

/** The collections of a team that were used last. */
export function lastCollections(team) {
  return JSON.parse(sessionStorage.getItem(`collections:${team}`) ?? "[]");
}

/** Keeps which collections of a team were used last, for as long as the tab is open. */
export function rememberCollections(team, ids) {
  sessionStorage.setItem(`collections:${team}`, JSON.stringify(ids));
}

/** Which colours are wanted. */
export function theme() {
  const kept = localStorage.getItem("theme");
  return THEMES.includes(kept) ? kept : THEMES[0];
}

/** Switches to the next colour scheme. */
export function nextTheme() {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  localStorage.setItem("theme", next);
  applyTheme();
  return next;
}

/** Shows the wanted colours. */
export function applyTheme() {
  document.documentElement.dataset.theme = theme();
}
