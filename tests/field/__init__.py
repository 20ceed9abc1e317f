"""What people reported of other products, and public test sets, tried here: one file a subject."""
