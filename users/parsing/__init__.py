"""Reading what people type: phones, names and refusals. Pure: no database."""
