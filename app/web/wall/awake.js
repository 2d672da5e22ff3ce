// Keeps the screen on, where the browser can: it lets go of a page that is hidden, so it is asked again.

/** After a refusal, for example because the battery is low. */
const AGAIN_MS = 60_000;

export function keepAwake() {
  if (!navigator.wakeLock) return;
  let lock = null;
  let timer = 0;
  const ask = async () => {
    clearTimeout(timer);
    if (document.hidden || (lock && !lock.released)) return;
    try {
      lock = await navigator.wakeLock.request('screen');
      lock.onrelease = ask;
    } catch {
      timer = setTimeout(ask, AGAIN_MS);
    }
  };
  document.addEventListener('visibilitychange', ask);
  ask();
}
