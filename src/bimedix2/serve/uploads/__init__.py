"""Pictures that people send: taken in, kept without what identifies a patient, and shown as the model sees them."""
