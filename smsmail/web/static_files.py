"""How collectstatic names the files in the image."""

from whitenoise.storage import CompressedManifestStaticFilesStorage

OURS = "composer/*.js"


class HashedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Puts hashed names into the imports of our JavaScript modules too: otherwise a browser could run a new
    module with an old one from its cache. Django can do this for every file
    (support_js_module_import_aggregation), but then takes words in a comment of htmx for an import and
    fails. Modules that import each other in a circle make collectstatic fail.
    """

    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        (
            OURS,
            (
                (r'(?P<matched>\bfrom "(?P<url>\./[^"]+)";)', 'from "%(url)s";'),
                (r'(?P<matched>\bimport "(?P<url>\./[^"]+)";)', 'import "%(url)s";'),
            ),
        ),
    )
