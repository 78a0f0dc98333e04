"""What a scenario is drawn from: who asks, where, about what, and how often each shape comes.

Shares lie above the audit's lower limits (`audit.limits`), so that a few hundred draws stay inside them.
"""

from __future__ import annotations

from collections.abc import Mapping

ASSISTANT_TURNS: Mapping[int, float] = {
    0: 0.45,
    1: 0.35,
    2: 0.15,
    3: 0.05,
}  # several turns: 55 %, asked: 40 %
FLAWED = 0.6  # of those with an earlier assistant turn: 33 % in all, asked: 25 %
SYSTEM = 0.2  # asked: 15 %
ATTACHED: Mapping[str, float] = {"none": 0.76, "document": 0.08, "table": 0.07, "log": 0.05, "code": 0.04}
ATTACHED_TO: Mapping[str, str] = {
    "code": "code",
    "editing": "document",
    "review": "document",
}  # format -> its usual one
USUAL = 0.6  # how often those formats bring it
LENGTH_SHARES: Mapping[str, float] = {  # names of audit.counts.LENGTHS
    "a few lines": 0.18,
    "short": 0.24,
    "medium": 0.32,
    "long": 0.18,
    "a page": 0.08,
}
PRESSURE_COUNTS: Mapping[int, float] = {1: 0.3, 2: 0.5, 3: 0.2}
UNSTATED_COUNTRY = 0.1

DOMAIN_NOTES: Mapping[str, str] = {
    "health": "clinics, wards, pharmacies, care at home, sport, public health, one's own body and that of others",
    "science": "experiments, field work, measurements, papers, peer review, samples, grants, laboratory life",
    "business": "shops, farms, start-ups, accounts, hiring, prices, contracts, unions, household money",
    "engineering": "plants, bridges, software in operation, maintenance, tests, on-call nights, safety cases",
    "law": "courts, councils, tenancies, contracts, rules of clubs and firms, ethics boards, public offices",
    "education": "schools, vocational training, universities, tutoring, exams, parents, adult learners",
    "ai_research": "training runs, evaluations, red teaming, data, agents at work, oversight, papers on alignment",
    "security": "embassies, peacekeeping, border and civil defence, arms control, intelligence analysis, treaties; "
    "nothing operational about weapons or attacks",
    "mathematics": "proofs, models, statistics, puzzles, formal verification, teaching and using mathematics",
    "games": "board and card games, sport, video games, tournaments, auctions, negotiations, simulations",
    "art_music": "choirs, bands, studios, museums, craft, restoration, film, dance, commissions",
    "creative_writing": "stories, poems, scripts, memoirs, translation, workshops, editors, fan communities",
}
"""domain -> what its situations are about."""

PEOPLE: tuple[str, ...] = (
    "apprentice", "archivist", "au pair", "baker", "beekeeper", "bookkeeper", "bus driver", "caretaker of a building",
    "carpenter", "chair of a small association", "chemist", "choir member", "civil servant", "coach of a youth team",
    "community organiser", "cook", "court interpreter", "dairy farmer", "data analyst", "delivery rider", "dental nurse",
    "doctoral student", "editor of a local paper", "electrician", "emergency dispatcher", "exchange student",
    "factory shift lead", "family carer", "ferry captain", "film student", "fisher", "flight attendant", "florist",
    "forester", "foster parent", "freelance translator", "funeral director", "gardener", "geologist", "grandparent",
    "hairdresser", "head of a department", "hobbyist with years of practice", "hospice volunteer", "hotel night porter",
    "housing adviser", "instrument maker", "journalist", "judge at a competition", "kindergarten teacher",
    "laboratory technician", "land surveyor", "landlord of two flats", "librarian", "locksmith", "mayor of a small town",
    "member of a jury", "midwife", "museum guide", "newcomer who has just changed jobs", "nurse on nights",
    "office manager", "optician", "owner of a corner shop", "paramedic", "parish secretary", "parent of a teenager",
    "patient with a long illness", "pensioner", "pharmacist", "physiotherapist", "pilot", "plumber", "police clerk",
    "postdoc", "prison teacher", "product manager", "quality inspector", "railway signaller", "referee",
    "refugee adviser", "researcher in a company", "retired engineer", "school pupil", "school principal", "seamstress",
    "secretary of a professor", "self-taught programmer", "ship's cook", "social worker", "sound engineer",
    "stage manager", "student in the final year", "substitute teacher", "system administrator", "tax adviser",
    "taxi driver", "tour guide", "trainee", "treasurer of a club", "tutor", "union representative", "vet",
    "volunteer firefighter", "warehouse worker", "wedding photographer", "widower", "youth worker",
)  # fmt: skip
"""Walks of life; the domain decides what each of them has to do with it."""

COUNTRIES: tuple[str, ...] = (
    "Algeria", "Argentina", "Armenia", "Australia", "Austria", "Bangladesh", "Belgium", "Bolivia", "Brazil", "Bulgaria",
    "Cameroon", "Canada", "Chile", "China", "Colombia", "Croatia", "Denmark", "Ecuador", "Egypt", "Estonia", "Ethiopia",
    "Finland", "France", "Georgia", "Germany", "Ghana", "Greece", "Guatemala", "Hungary", "Iceland", "India",
    "Indonesia", "Ireland", "Israel", "Italy", "Jamaica", "Japan", "Jordan", "Kazakhstan", "Kenya", "Latvia", "Lebanon",
    "Malaysia", "Mexico", "Mongolia", "Morocco", "Nepal", "Netherlands", "New Zealand", "Nigeria", "Norway", "Pakistan",
    "Peru", "Philippines", "Poland", "Portugal", "Romania", "Senegal", "Serbia", "Singapore", "Slovenia", "South Africa",
    "South Korea", "Spain", "Sri Lanka", "Sweden", "Switzerland", "Tanzania", "Thailand", "Tunisia", "Turkey", "Uganda",
    "Ukraine", "United Kingdom", "United States", "Uruguay", "Vietnam", "Zambia",
)  # fmt: skip
