// The words of HTML that can make a page run something, chosen from the HTML standard (elements, event handler content
// attributes, attributes that hold a URL), SVG 2, Pointer Events, CSS Animations and what older browsers ran.
import { addWords, clearTable, HTML_SLOTS, HTML_TABLE, wordHash, wordKind } from './words';

// KINDS. Elements and attributes are in one table: what a word is, its place tells.
export const HTML_NONE: u32 = 0;
export const ELEMENT_RUNS: u32 = 1; // runs or loads by being there
export const ELEMENT_LOADS: u32 = 2; // does so by an attribute, any of them
export const HANDLER: u32 = 3;
export const ATTRIBUTE_URL: u32 = 4;
export const ATTRIBUTE_STYLE: u32 = 5;
export const ATTRIBUTE_MARKUP: u32 = 6; // its value is a document
export const ATTRIBUTE_LINK: u32 = 7; // of SVG and MathML
export const ELEMENT_STYLE: u32 = 8; // both an element that runs and the attribute

let ready = false;

function build(): void {
  ready = true;
  clearTable(HTML_TABLE, HTML_SLOTS);
  add(ELEMENT_RUNS, 'script iframe frame frameset isindex bgsound vmlframe xss scriptlet xml comment listener');
  add(ELEMENT_LOADS, 'object embed applet base link meta portal import noscript event-source math animate set handler');
  add(ELEMENT_STYLE, 'style');
  add(ATTRIBUTE_URL, 'href src action formaction data background poster from to by values dynsrc lowsrc code');
  add(ATTRIBUTE_URL, 'codebase cite classid longdesc usemap profile manifest ping srcset icon archive folder content');
  add(ATTRIBUTE_URL, 'location url');
  add(ATTRIBUTE_LINK, 'xlink:href');
  add(ATTRIBUTE_MARKUP, 'srcdoc datasrc dataformatas fscommand seeksegmenttime');
  addStandardHandlers();
  addOlderHandlers();
}

/** GlobalEventHandlers, WindowEventHandlers and the others that the standards give to elements. */
function addStandardHandlers(): void {
  add(HANDLER, 'onabort onauxclick onbeforeinput onbeforematch onbeforetoggle onblur oncancel oncanplay');
  add(HANDLER, 'oncanplaythrough onchange onclick onclose oncommand oncontextlost oncontextmenu oncontextrestored');
  add(HANDLER, 'oncopy oncuechange oncut ondblclick ondrag ondragend ondragenter ondragleave ondragover ondragstart');
  add(HANDLER, 'ondrop ondurationchange onemptied onended onerror onfocus onformdata oninput oninvalid onkeydown');
  add(HANDLER, 'onkeypress onkeyup onload onloadeddata onloadedmetadata onloadstart onmousedown onmouseenter');
  add(HANDLER, 'onmouseleave onmousemove onmouseout onmouseover onmouseup onpaste onpause onplay onplaying');
  add(HANDLER, 'onprogress onratechange onreset onresize onscroll onscrollend onsecuritypolicyviolation onseeked');
  add(HANDLER, 'onseeking onselect onslotchange onstalled onsubmit onsuspend ontimeupdate ontoggle onvolumechange');
  add(HANDLER, 'onwaiting onwheel onafterprint onbeforeprint onbeforeunload onhashchange onlanguagechange onmessage');
  add(HANDLER, 'onmessageerror onoffline ononline onpagehide onpageshow onpagereveal onpageswap onpopstate');
  add(HANDLER, 'onrejectionhandled onstorage onunhandledrejection onunload onfocusin onfocusout onpointercancel');
  add(HANDLER, 'onpointerdown onpointerenter onpointerleave onpointermove onpointerout onpointerover');
  add(HANDLER, 'onpointerrawupdate onpointerup ongotpointercapture onlostpointercapture ontouchcancel ontouchend');
  add(HANDLER, 'ontouchmove ontouchstart onanimationcancel onanimationend onanimationiteration onanimationstart');
  add(HANDLER, 'ontransitioncancel ontransitionend ontransitionrun ontransitionstart onselectionchange');
  add(HANDLER, 'onselectstart onfullscreenchange onfullscreenerror onbegin onend onrepeat onsearch onbeforecopy');
  add(HANDLER, 'onbeforecut onbeforepaste onsnapchanged');
}

/** Of browsers before the standard, and their own. */
function addOlderHandlers(): void {
  add(HANDLER, 'onactivate onafterupdate onbeforeactivate onbeforedeactivate onbeforeeditfocus onbeforeupdate');
  add(HANDLER, 'onbounce oncellchange oncontrolselect ondataavailable ondatasetchanged ondatasetcomplete');
  add(HANDLER, 'ondeactivate onerrorupdate onfilterchange onfinish onformchange onforminput onhelp onlayoutcomplete');
  add(HANDLER, 'onlosecapture onmousewheel onmove onmoveend onmovestart onpropertychange onreadystatechange');
  add(HANDLER, 'onresizeend onresizestart onrowenter onrowexit onrowsdelete onrowsinserted onshow onstart onstop');
  add(HANDLER, 'onwebkitanimationend onwebkitanimationiteration onwebkitanimationstart onwebkittransitionend');
  add(HANDLER, 'onwebkitmouseforcechanged ondomactivate onzoom ontimer');
}

function add(kind: u32, list: string): void {
  addWords(HTML_TABLE, HTML_SLOTS, kind, list);
}

/** Kind of a word of HTML. */
export function htmlWord(at: usize, length: i32): u32 {
  if (!ready) build();
  return wordKind(HTML_TABLE, HTML_SLOTS, wordHash(at, length), at, length);
}
