/** htmx, as pages use it: links and forms that fetch a part of a page. Its settings are in the page's head. */

import htmx from "htmx.org/dist/htmx.esm.js";

export default htmx;
