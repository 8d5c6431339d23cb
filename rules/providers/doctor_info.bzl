"""DoctorInfo: what the doctor says of an image."""

DoctorInfo = provider(
    doc = "The doctor's report of an image. Making these files does not fail on findings.",
    fields = {
        "findings": "File: text, what fails the build; empty if nothing does.",
        "json": "File: the whole report for programs: findings, waived, notes.",
        "report": "File: the whole report for people.",
    },
)
