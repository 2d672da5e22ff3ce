// Whether the page is shown, where there is one.

/**
 * Tells when a page has been hidden for a while, when it is shown again, and when the network is back. In Node, nothing.
 * @param {number} hiddenMs Infinity: it is never too long
 * @param {{onHide: () => void, onShow: () => void}} tell onShow: also after a short while, and for the network
 * @returns {() => void} ends it
 */
export function watchPage(hiddenMs, { onHide, onShow }) {
  const page = globalThis.document;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const isHidden = () => page?.visibilityState === 'hidden';
  const look = () => {
    clearTimeout(timer);
    if (!isHidden()) onShow();
    else if (Number.isFinite(hiddenMs)) timer = setTimeout(onHide, hiddenMs);
  };
  const wake = () => {
    if (!isHidden()) onShow();
  };
  page?.addEventListener('visibilitychange', look);
  globalThis.addEventListener?.('online', wake);
  if (isHidden()) look();
  return () => {
    clearTimeout(timer);
    page?.removeEventListener('visibilitychange', look);
    globalThis.removeEventListener?.('online', wake);
  };
}
