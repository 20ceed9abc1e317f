"""What providers report to us: the inbox of raw receipts, and the packs that hold the processed ones."""
