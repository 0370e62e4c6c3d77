"""Letters that languages use beyond ASCII, as far as telling code pages apart needs them."""

LATIN: dict[str, tuple[str, str]] = {
    "western": ("éèäöüßáñóíçãåøæ", "êàâîôëú"),
    "german": ("äöüß", "é"),
    "french": ("éèàç", "êâîôûëïùœ"),
    "spanish": ("áéíóñ", "úü"),
    "portuguese": ("ãçáéíóõ", "âêôúà"),
    "italian": ("àèìòù", "é"),
    "nordic": ("åäöæø", "éü"),
    "icelandic": ("áíðöþ", "éóúýæ"),
    "polish": ("ąęłóśż", "ćńź"),
    "czech": ("áčěířšýžéů", "ďňóťú"),
    "slovak": ("áčéíľšťýžú", "ďĺňóôŕä"),
    "hungarian": ("áéöő", "íóúüű"),
    "romanian": ("ăâîşţșț", ""),
    "croatian": ("čćšž", "đ"),
    "turkish": ("ışğçüöİ", "âî"),
    "lithuanian": ("ąčęėįšųūž", ""),
    "latvian": ("āēīūš", "ņļķģčž"),
    "estonian": ("äõöü", "šž"),
}
"""For each language its frequent letters and the others, in lower case."""

SCRIPTS: dict[str, str] = {
    "cyrillic": "оаеинтрсвлкмпдуяыьзгбчйіхжшюцщєїэфъґё",
    "greek": "αοιετσνηυρπκμλςίόάέγδήύωχθφβώξζψϊϋΐΰ",
    "hebrew": "יוהלאמתרבשנםדקעחפגכזטסצןךץף",
    "arabic": "اليمنرتوبدعسةهفحكقأجشخطصىإضزذثئءغظؤآًٌٍَُِّْ",
    "thai": "านรกเองมลยวตทสด่้ีิัะไคพปหขใจบแชูโุซถธึืำ์ณผศภฟษ็ญฐฉฎฏฑฒฬฮฝฤฆฌฃฅๆ๊๋",
}
"""For each script its letters in lower case, the most frequent first."""

VOWELS = frozenset("аеёиоуыэюяіїєαεηιουωάέήίόύώϊϋΐΰ")
"""The vowels of Cyrillic and Greek: they take turns with consonants."""

ALONE = frozenset("вискоуяаіВИСКОУЯАІηοοΗΟ")
"""Letters of Cyrillic and Greek that are words by themselves."""

SIMPLIFIED = frozenset(
    "的一是不了在人有我他这中大国上来到时们为子和你地出道也年得就那要下以生会自着去之过家学对可里后小"
    "心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长"
    "知民样现分将外但身些与高意进把法此实回二理美点月明其种声全工者向情部正名定女问力机给等几业最间新"
    "位因重电四第门相东政海口使教西再平真世气信北少关并内加化由代军产入先山五太水万市省县区路号州京广"
    "江湖河南金额备注客户订单价格数量张王李刘陈杨黄赵周吴徐孙马朱胡林郭何城镇村街深圳成武汉四川福建安"
)
"""Frequent characters of mainland Chinese, many of them in addresses and tables."""

TRADITIONAL = frozenset(
    "的一是不了在人有我他這中大國上來到時們為子和你地出道也年得就那要下以生會自著去之過家學對可裡後小"
    "心多天而能好都然沒日於起還發成事只作當想看文無開手十用主行方又如前所本見經頭面公同三已老從動兩長"
    "知民樣現分將外但身些與高意進把法此實回二理美點月明其種聲全工者向情部正名定女問力機給等幾業最間新"
    "位因重電四第門相東政海口使教西再平真世氣信北少關並內加化由代軍產入先山五太水萬市省縣區路號州京廣"
    "江湖河南金額備註客戶訂單價格數量張王李劉陳楊黃趙周吳徐孫馬朱胡林郭何城鎮村街臺灣雄竹新桃園編怡君"
)
"""The same for Taiwan and Hong Kong."""

JAPANESE = frozenset(
    "日一国人年大十二本中長出三時行見月分後前生五間上東四今金九入学高円子外八六下来気小七山話女北午百"
    "書先名川千水半男西電校語土木聞食車何南万毎白天母火右読友左休父雨都道府県市区町村会社注文番号住所田"
    "藤佐鈴橋渡辺伊林加吉株式商品価格数量単合計京阪福岡海神奈愛知知用事務部門者地方新定明時間料理物通信"
    "手目力口内回場員立開業動同自体発度代当対性的表実理全公平現最主多太郎花美子札幌広島仙台埼玉千葉横浜"
)
"""The same for Japanese."""

HANGUL = frozenset(
    "이다는의가을를에서하고지로은도한사시자기인대정리어과스부그일해수제나주전상보장구국아여동성원관화비명"
    "신공문우생조선안유경연중회울산광역군면읍길호번민김박최강윤임라만든입니까습있없것등년월금액고객품수량가격"
    "소름주특별천영남북세종청충평창포항진양용마서초송파오현재준윤지예"
)
"""Frequent syllables of Korean."""
