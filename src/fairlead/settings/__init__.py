"""Everything that can be configured: one frozen Struct, read once from file, environment and flags.

Each value is looked for in four places, and the later one wins:

    the default < fairlead.toml < the environment < a command-line flag

In the environment a setting is `FAIRLEAD_SECTION__KEY`. The variables that everybody already has work
too: a provider's own key variable (`OPENAI_API_KEY`) and `<SLUG>_BASE_URL` for its address; a
`FAIRLEAD_...` name beats those. A text value `env:NAME` is replaced by the variable NAME. An empty
variable counts as absent, because that is how container tools spell "not set".

Nothing is guessed and nothing is ignored: an unknown name, a wrong type or a missing variable raises
`SettingsError`, one sentence that names the setting and what to do. Values that open something are
`Secret`s, whose text appears in no message and no repr.

types.py, with people.py and money.py, says what there is, loading.py reads it, words.py describes it to people,
reload.py tells whether it changed.
"""

from fairlead.settings.loading import CONFIG_NAME, SettingsError, base_url_variable, load
from fairlead.settings.money import Billing, Byok, Stripe
from fairlead.settings.people import Mail, OidcSettings, SignIn
from fairlead.settings.reload import Fingerprint, fingerprint, needs_restart
from fairlead.settings.secret import Secret, revealed
from fairlead.settings.types import (
    Cache,
    Database,
    Journal,
    Limits,
    Log,
    Metrics,
    Privacy,
    ProviderSettings,
    Routing,
    Security,
    Server,
    Settings,
    Timeouts,
    Upstream,
)

__all__ = [
    "CONFIG_NAME",
    "Billing",
    "Byok",
    "Cache",
    "Database",
    "Fingerprint",
    "Journal",
    "Limits",
    "Log",
    "Mail",
    "Metrics",
    "OidcSettings",
    "Privacy",
    "ProviderSettings",
    "Routing",
    "Secret",
    "Security",
    "Server",
    "Settings",
    "SettingsError",
    "SignIn",
    "Stripe",
    "Timeouts",
    "Upstream",
    "base_url_variable",
    "fingerprint",
    "load",
    "needs_restart",
    "revealed",
]
