import pytest

from core.phases.words import phase_of_delay, phase_of_text

NAMED = {
    "arterial": """Arterial Phase|ART|Abd_Art_1.0|late arterial|Late-Arterial 1.25mm|HAP|A phase
        |pancreatic phase|Pankreasphase|arteriell|spätarteriell|Spaetarterielle Phase|artérielle
        |temps artériel tardif|fase arterial tardía|arterial tardia|动脉期|動脈相|動脈優位相
        |动脉晚期
        |胰腺期|膵実質相|CTA Abdomen|Angio CT|35s|Abdomen 35 sec|35秒|AP phase|corticomedullary
        |delay 35s|Abdomen 5.0 B30f arteriell|hepatic arterial|delayed arterial""",
    "venous": """Venous Phase|portal venous|PV|PVP|portal|Portalvenös|venös|portalven. Phase|veineux
        |temps portal|phase veineuse|fase venosa|fase portal|静脉期|門脈相|门脉期|门静脉期|靜脈期
        |70s
        |70 seconds|portal venous delayed|late portal venous|delay 70|V phase|Abd.ven.|porto-venous
        |pv_phase|80秒""",
    "delayed": """Delayed Phase|delay|late phase|Spätphase|equilibrium|tardif|fase tardía
        |延迟期|延遲期
        |平衡相|遅延相|180s|5 min|delayed 3 min|3分|CTA delayed|排泄期|excretory|late""",
    "native": """native|nativ|Abdomen nativ 5.0|plain|non-contrast|NON CON|noncontrast|unenhanced
        |pre contrast|without contrast|w/o contrast|ohne KM|sans injection|sans contraste
        |sin contraste
        |Abdomen simple|平扫|平掃|単純|NCCT|VNC|C-|C- Abdomen|Abd C-|non enhanced""",
}
NOT_NAMED = """|AP|Abdomen AP|Abdomen|Pancreas|CT Body 3.0|C+|W/WO
        |with and without contrast|w wo con
    |arterial/venous|art+ven|nativ arteriell|100s|50 sec|B35s|Br40d|Abd 3.0 B70s
        |intravenous contrast
    |intra-venous|0.5 s|plate|related|Portable|post contrast|nonionic contrast|C-Spine
        |5mm|1.25|Article
    |增强|Thorax 2.0 I30s|3 mm|delay 35 mm|Abdomen simple y contraste|VP shunt
        |arteriovenous|5s""".split("|")


@pytest.mark.parametrize(
    ("text", "phase"),
    [(text.strip(), phase) for phase, texts in NAMED.items() for text in texts.split("|")],
)
def test_a_phase_is_read_in_six_languages(text, phase):
    assert phase_of_text(text) == phase
    assert phase_of_text(text.upper()) == phase


@pytest.mark.parametrize("text", [text.strip() for text in NOT_NAMED])
def test_what_names_no_phase_or_two_is_not_decided(text):
    assert phase_of_text(text) is None


@pytest.mark.parametrize(
    ("seconds", "phase"),
    [
        (-60, None),
        (0, None),
        (15, "arterial"),
        (44.9, "arterial"),
        (45, None),
        (54, None),
        (55, "venous"),
        (90, "venous"),
        (91, None),
        (120, None),
        (121, "delayed"),
    ],
)
def test_between_two_phases_a_delay_does_not_decide(seconds, phase):
    assert phase_of_delay(seconds) == phase
