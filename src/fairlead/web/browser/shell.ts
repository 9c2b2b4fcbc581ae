/** On every page: partial updates, the theme, copying, menus, dialogs, local times. Nothing here is needed to read. */

import "./htmx.ts";
import { startCopying } from "./shell/copying.ts";
import { startDialogs } from "./shell/dialogs.ts";
import { startForms } from "./shell/forms.ts";
import { startMenus } from "./shell/menus.ts";
import { startShortcuts } from "./shell/shortcuts.ts";
import { startThemes } from "./shell/themes.ts";

startThemes();
startCopying();
startMenus();
startDialogs();
startForms();
startShortcuts();
