"""Whether a patient has metastases in lymph nodes: tumor and nodes together (Sec. III-B)."""
