"""Conversations and reports as files: Markdown, DOCX, PDF and FHIR. One neutral document, four writers."""
