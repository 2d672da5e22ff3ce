// What has the focus now, and whether it shows. Through open shadow roots. null: nothing has it.
() => {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  if (!element || element === document.body) return null;
  const row = element.closest('tr');
  const area = element.matches('[type=radio], [type=checkbox]') ? element.closest('label') ?? element : element;
  const looks = [getComputedStyle(element), getComputedStyle(element, '::after'), getComputedStyle(area)];
  const hasRing = looks.some(({ outlineStyle, outlineWidth }) => outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1.5);
  const { left, top, width, height } = (element.matches('.open') && row ? row : area).getBoundingClientRect();
  const text = (element.ariaLabel || element.textContent || element.value || '').trim().replace(/\s+/g, ' ').slice(0, 30);
  return {
    name: `${element.localName}${element.id && `#${element.id}`} “${text}”`, kind: element.type ?? '', group: element.type === 'radio' ? element.name : '',
    hasRing, left: left + scrollX, top: top + scrollY, width, height, isInside: top + height > 0 && top < innerHeight && left + width > 0 && left < innerWidth,
  };
}
