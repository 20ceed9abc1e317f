"""Writing a draft: the form, the preview, the forecast and saved texts."""
