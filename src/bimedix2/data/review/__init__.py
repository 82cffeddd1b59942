"""Expert review of translations: queue, page, sampling, agreement, and the way of edits back into the data."""
