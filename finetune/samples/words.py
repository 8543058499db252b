"""What is written in the street. All names are invented or common."""

SPEEDS = ("20", "30", "30", "40", "50", "50", "60", "70", "80", "90", "100", "120")
DISTANCES = ("2", "3", "5", "8", "12", "14", "17", "25", "36", "41", "60")
TOWNS = (
    "Altdorf", "Birkenau", "Castleford", "Dunmore", "Eastgate", "Fairview", "Grünwald", "Harbour", "Iversund", "Juniper", "Kingsport", "Lindau",
    "Milford", "Norwick", "Oakham", "Portsea", "Quimby", "Ravenna", "Sölden", "Thornbury", "Ulmstadt", "Valmont", "Westerby", "Yarrow", "Zell",
    "Centre", "Airport", "Station", "Hospital", "Old Town", "Ferry", "Museum",
)  # fmt: skip
STREETS = (
    "Mill Lane", "High Street", "Park Road", "Elm Avenue", "Market Sq", "Church St", "Lindenweg", "Rue du Lac", "Via Roma", "Station Rd",
    "Harbour Way", "King Street", "Oak Drive", "Schulstraße", "Bay View", "Fox Hill", "Canal St", "Bridge Row", "Rose Court", "Am Markt",
)  # fmt: skip
PLATES = ("200 m", "SCHOOL", "ONE WAY", "EXCEPT BUS", "ZONE", "SLOW", "ICE", "CAUTION", "800 m", "WORKS", "7-19 h", "TAXI", "CROSSING", "END", "DETOUR")
SHOPS = (
    "BAKERY", "Café", "HOTEL", "BOOKS", "Flowers", "PIZZA", "BANK", "Bistro", "SHOES", "Optic", "CINEMA", "Toys", "MARKET", "Tailor", "GELATO",
    "PHARMACY", "Bikes", "TEA ROOM", "Records", "HAIR", "Grill", "Antiques", "SUSHI", "Deli", "Wines",
)  # fmt: skip
POSTERS = ("SALE", "LIVE", "JAZZ", "OPEN", "NEW", "EXPO", "50%", "TOUR", "FUN FAIR", "ROCK", "BALLET", "CIRCUS")
