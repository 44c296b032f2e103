//! Where texts begin and end: end marks, BOS, answers that are gone on with, marks in a message, normalisation.
