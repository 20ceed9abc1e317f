"""The same folders as the code; emulators, browser, crash and field beside them."""
