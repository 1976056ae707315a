"""`make demo`: a month of an AI API's customers, played on the real services and checked independently."""
