"""The words everyone shares: video records, the tokenizer and world-model contracts, curation records."""
