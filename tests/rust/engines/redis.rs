//! Redis in all its forms.
