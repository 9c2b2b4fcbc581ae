/** On every page: partial updates, the theme, copying, menus, dialogs, forms, shortcuts. Nothing here is needed to read. */

import "htmx.org/dist/htmx.esm.js"; // its settings are in the page's head
import { startCopying } from "./shell/copying.ts";
import { startDialogs } from "./shell/dialogs.ts";
import { startForms } from "./shell/forms.ts";
import { startMenus } from "./shell/menus.ts";
import { startParts } from "./shell/parts.ts";
import { startShortcuts } from "./shell/shortcuts.ts";
import { startThemes } from "./shell/themes.ts";

startThemes();
startCopying();
startMenus();
startDialogs();
startForms();
startParts();
startShortcuts();
