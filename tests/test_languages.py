# ruff: noqa: E501
"""Languages of replies, told apart without a model. Two passages a language: Article 1 of the Universal Declaration of Human
Rights, and an everyday one; shuffled and joined, cut, and mixed."""

import pytest

from evenkeel.grading.languages import known, language_of

DECLARATION = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience and should act towards one another in a spirit of brotherhood.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de conscience et doivent agir les uns envers les autres dans un esprit de fraternité.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón y conciencia, deben comportarse fraternalmente los unos con los otros.",
    "pt": "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Dotados de razão e de consciência, devem agir uns para com os outros em espírito de fraternidade.",
    "it": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono dotati di ragione e di coscienza e devono agire gli uni verso gli altri in spirito di fratellanza.",
    "nl": "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Zij zijn begiftigd met verstand en geweten, en behoren zich jegens elkander in een geest van broederschap te gedragen.",
    "sv": "Alla människor är födda fria och lika i värde och rättigheter. De är utrustade med förnuft och samvete och bör handla gentemot varandra i en anda av broderskap.",
    "fi": "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan. Heille on annettu järki ja omatunto, ja heidän on toimittava toisiaan kohtaan veljeyden hengessä.",
    "pl": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni rozumem i sumieniem i powinni postępować wobec innych w duchu braterstwa.",
    "cs": "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem a svědomím a mají spolu jednat v duchu bratrství.",
    "ro": "Toate ființele umane se nasc libere și egale în demnitate și în drepturi. Ele sunt înzestrate cu rațiune și conștiință și trebuie să se comporte unele față de altele în spiritul fraternității.",
    "hu": "Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Az emberek, ésszel és lelkiismerettel bírván, egymással szemben testvéri szellemben kell hogy viseltessenek.",
    "tr": "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana sahiptirler ve birbirlerine karşı kardeşlik zihniyeti ile hareket etmelidirler.",
    "vi": "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền. Mọi con người đều được tạo hóa ban cho lý trí và lương tâm và cần phải đối xử với nhau trong tình bằng hữu.",
    "sw": "Watu wote wamezaliwa huru, hadhi na haki zao ni sawa. Wote wamejaliwa akili na dhamiri, hivyo yapasa watendeane kindugu.",
    "id": "Semua orang dilahirkan merdeka dan mempunyai martabat dan hak-hak yang sama. Mereka dikaruniai akal dan hati nurani dan hendaknya bergaul satu sama lain dalam semangat persaudaraan.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и должны поступать в отношении друг друга в духе братства.",
    "uk": "Всі люди народжуються вільними і рівними у своїй гідності та правах. Вони наділені розумом і совістю і повинні діяти у відношенні один до одного в дусі братерства.",
    "bg": "Всички хора се раждат свободни и равни по достойнство и права. Те са надарени с разум и съвест и следва да се отнасят помежду си в дух на братство.",
    "ar": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. وقد وهبوا عقلا وضميرا وعليهم أن يعامل بعضهم بعضا بروح الإخاء.",
    "fa": "تمام افراد بشر آزاد به دنیا می آیند و از لحاظ حیثیت و حقوق با هم برابرند. همه دارای عقل و وجدان هستند و باید نسبت به یکدیگر با روح برادری رفتار کنند.",
    "ur": "تمام انسان آزاد اور حقوق و عزت کے اعتبار سے برابر پیدا ہوئے ہیں۔ انہیں ضمیر اور عقل ودیعت ہوئی ہے۔ اس لئے انہیں ایک دوسرے کے ساتھ بھائی چارے کا سلوک کرنا چاہیئے۔",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। उन्हें बुद्धि और अन्तरात्मा की देन प्राप्त है और परस्पर उन्हें भाईचारे के भाव से बर्ताव करना चाहिए।",
    "mr": "सर्व मानवी व्यक्ती जन्मतःच स्वतंत्र आहेत व त्यांना समान प्रतिष्ठा व समान अधिकार आहेत. त्यांना विचारशक्ती व सदसद्विवेकबुद्धी लाभलेली आहे व त्यांनी एकमेकांशी बंधुत्वाच्या भावनेने आचरण करावे.",
    "ne": "सबै व्यक्तिहरू जन्मजात स्वतन्त्र हुन् ती सबैको समान अधिकार र महत्व छ। निजहरूमा विचार शक्ति र सद्विचार भएकोले निजहरूले आपसमा भातृत्वको भावनाबाट व्यवहार गर्नु पर्छ।",
    "bn": "সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা এবং অধিকার নিয়ে জন্মগ্রহণ করে। তাঁদের বিবেক এবং বুদ্ধি আছে; সুতরাং সকলেরই একে অপরের প্রতি ভ্রাতৃত্বসুলভ মনোভাব নিয়ে আচরণ করা উচিত।",
    "pa": "ਸਾਰਾ ਮਨੁੱਖੀ ਪਰਿਵਾਰ ਆਪਣੀ ਮਹਿਮਾ, ਸ਼ਾਨ ਅਤੇ ਹੱਕਾਂ ਦੇ ਪੱਖੋਂ ਜਨਮ ਤੋਂ ਹੀ ਆਜ਼ਾਦ ਹੈ।",
    "gu": "પ્રતિષ્ઠા અને અધિકારોની દૃષ્ટિએ સર્વ માનવો જન્મથી સ્વતંત્ર અને સમાન હોય છે.",
    "ta": "மனிதப் பிறவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்; அவர்கள் மதிப்பிலும், உரிமைகளிலும் சமமானவர்கள்.",
    "te": "ప్రతిపత్తిస్వత్వముల విషయమున మానవులెల్లరును జన్మతః స్వతంత్రులును సమానులును నగుదురు.",
    "kn": "ಎಲ್ಲಾ ಮಾನವರೂ ಸ್ವತಂತ್ರರಾಗಿಯೇ ಜನಿಸಿದ್ದಾರೆ. ಹಾಗೂ ಘನತೆ ಮತ್ತು ಹಕ್ಕುಗಳಲ್ಲಿ ಸಮಾನರಾಗಿದ್ದಾರೆ.",
    "ml": "മനുഷ്യരെല്ലാവരും തുല്യാവകാശങ്ങളോടും അന്തസ്സോടും സ്വാതന്ത്ര്യത്തോടുംകൂടി ജനിച്ചിട്ടുള്ളവരാണ്.",
    "th": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ต่างมีเหตุผลและมโนธรรม",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "zh": "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。",
    "he": "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. כולם חוננו בתבונה ובמצפון.",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
}  # fmt: skip
EVERYDAY = {
    "en": "Thank you for your letter. I would like to tell you that we have found a new house near the river, and the children are very happy there.",
    "de": "Vielen Dank für deinen Brief. Wir haben ein neues Haus am Fluss gefunden, und die Kinder sind dort sehr glücklich, auch wenn es noch kalt ist.",
    "fr": "Merci pour votre lettre. Nous avons trouvé une nouvelle maison près de la rivière, et les enfants y sont très heureux, même s'il fait encore froid.",
    "es": "Gracias por tu carta. Hemos encontrado una casa nueva cerca del río, y los niños están muy contentos allí, aunque todavía hace frío por la noche.",
    "pt": "Obrigado pela sua carta. Encontramos uma casa nova perto do rio, e as crianças estão muito felizes lá, embora ainda faça frio à noite.",
    "it": "Grazie per la tua lettera. Abbiamo trovato una casa nuova vicino al fiume, e i bambini sono molto felici lì, anche se fa ancora freddo.",
    "sv": "Tack för ditt brev. Vi har hittat ett nytt hus vid floden, och barnen är mycket glada där, även om det fortfarande är kallt på natten.",
    "fi": "Kiitos kirjeestäsi. Olemme löytäneet uuden talon joen läheltä, ja lapset ovat siellä hyvin iloisia, vaikka yöllä on vielä kylmä.",
    "pl": "Dziękuję za twój list. Znaleźliśmy nowy dom nad rzeką i dzieci są tam bardzo szczęśliwe, chociaż w nocy jest jeszcze zimno.",
    "vi": "Cảm ơn bạn đã viết thư cho tôi. Chúng tôi đã tìm được một ngôi nhà mới gần sông và các con rất vui khi ở đó.",
    "sw": "Asante kwa barua yako. Tumepata nyumba mpya karibu na mto, na watoto wana furaha sana huko, lakini bado kuna baridi wakati wa usiku.",
    "ru": "Спасибо за ваше письмо. Мы нашли новый дом у реки, и дети там очень счастливы, хотя по ночам ещё холодно.",
    "uk": "Дякую за твій лист. Ми знайшли новий будинок біля річки, і діти там дуже щасливі, хоча вночі ще холодно.",
    "bg": "Благодаря за писмото ти. Намерихме нова къща близо до реката и децата са много щастливи там, макар че през нощта още е студено.",
    "ar": "شكرا على رسالتك. لقد وجدنا بيتا جديدا بالقرب من النهر، والأطفال سعداء جدا هناك، لكن الجو لا يزال باردا في الليل.",
    "fa": "از نامه شما متشکرم. ما یک خانه جدید در کنار رودخانه پیدا کردیم و بچه ها آنجا خیلی خوشحال هستند، اما شب ها هنوز سرد است.",
    "ur": "آپ کے خط کا شکریہ۔ ہم نے دریا کے پاس ایک نیا گھر لیا ہے اور بچے وہاں بہت خوش ہیں، لیکن رات کو ابھی بھی سردی ہوتی ہے۔",
    "hi": "आपके पत्र के लिए धन्यवाद। हमने नदी के पास एक नया घर लिया है और बच्चे वहाँ बहुत खुश हैं, लेकिन रात में अभी भी ठंड होती है।",
    "mr": "तुमच्या पत्राबद्दल धन्यवाद. आम्ही नदीजवळ एक नवीन घर घेतले आहे आणि मुले तिथे खूप आनंदी आहेत, पण रात्री अजून थंडी असते.",
    "ne": "तपाईंको चिठीको लागि धन्यवाद। हामीले नदी नजिकै एउटा नयाँ घर किनेका छौं र केटाकेटीहरू त्यहाँ धेरै खुसी छन्, तर राति अझै जाडो हुन्छ।",
    "bn": "আপনার চিঠির জন্য ধন্যবাদ। আমরা নদীর কাছে একটি নতুন বাড়ি পেয়েছি এবং শিশুরা সেখানে খুব খুশি, কিন্তু রাতে এখনও ঠান্ডা হয়।",
}  # fmt: skip


def test_every_language_that_may_be_asked_for_is_here():
    assert set(DECLARATION) == set(known())


@pytest.mark.parametrize("code", DECLARATION)
def test_a_passage_is_recognised(code):
    assert language_of(DECLARATION[code]) == code
    assert language_of(DECLARATION[code].upper()) == code
    assert language_of(f"1. **{DECLARATION[code]}**\n\n- {DECLARATION[code]}") == code


@pytest.mark.parametrize("code", EVERYDAY)
def test_an_everyday_passage_is_recognised(code):
    assert language_of(EVERYDAY[code]) == code


@pytest.mark.parametrize("code", [code for code in DECLARATION if code != "en"])
def test_the_language_of_most_of_the_text_counts(code):
    """A short introduction in English, as models like to write one, changes nothing; a translation of double length does."""
    assert (
        language_of(f"Sure, here it is:\n\n{DECLARATION[code]} {DECLARATION[code]} {DECLARATION[code]}")
        == code
    )
    assert language_of(f"{DECLARATION[code]}\n\n{DECLARATION['en'] * 5} {EVERYDAY['en'] * 5}") != code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1, 2, 3.",
        "?!",
        "xkcd qwrt zzzp brrr mnbv plok",
        "Madrid Paris London Berlin Roma Wien",
        "Да",
        "है",
    ],
)
def test_nothing_is_said_without_evidence(text):
    assert language_of(text) is None


def test_nothing_is_said_where_two_languages_come_close():
    """Danish and Norwegian alike."""
    assert language_of("Det er en stor by, og de har en god skole til alle som vil.") is None


@pytest.mark.parametrize(
    "text",
    [
        "Visi žmonės gimsta laisvi ir lygūs savo orumu ir teisėmis. Jiems suteiktas protas ir sąžinė ir jie turi elgtis vienas kito atžvilgiu kaip broliai.",
        "Visi cilvēki piedzimst brīvi un vienlīdzīgi savā pašcieņā un tiesībās. Viņi ir apveltīti ar saprātu un sirdsapziņu.",
        "Բոլոր մարդիկ ծնվում են ազատ ու հավասար իրենց արժանապատվությամբ ու իրավունքներով։",
        "ყველა ადამიანი იბადება თავისუფალი და თანასწორი თავისი ღირსებითა და უფლებებით.",
    ],
)  # fmt: skip
def test_a_language_that_is_not_known_is_not_taken_for_another(text):
    """Lithuanian, Latvian, Armenian, Georgian."""
    assert language_of(text) is None
