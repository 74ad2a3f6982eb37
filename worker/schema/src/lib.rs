//! Pure DDL handling, table models, filters, routes and value to SQL text.
