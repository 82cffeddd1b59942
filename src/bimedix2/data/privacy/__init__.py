"""Screening for what identifies a person: free text in English and Arabic, DICOM attributes, writing in pictures.

A screen, not a guarantee: what it finds is worth a look, what it does not find may still be there.
"""
