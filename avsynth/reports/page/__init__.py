"""The parts of a report page: tables, cards, figures, HTML."""
