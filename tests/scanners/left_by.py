"""Scans of the specimen of `turntable` as each scanner leaves them, written by its own rules.

Nothing here calls what bonectl reads or writes scans with; pictures are those that the documented geometry gives.
Every text carries the name of a person and a path, as real ones do.
"""

import gzip
import struct

import numpy as np
import tifffile
from tests.scanners.turntable import Rays, line_integrals, seen

PERSON = "Ötzi Müller-Patient"
PLACE = r"D:\Results\Dr. Geheim\mouse 07"
VIEWS, ROWS, COLUMNS = 60, 56, 64
# A cone beam in mm: the specimen's field of view reaches HALF from its middle.
SOD, SDD, PITCH, HALF = 80.0, 200.0, 0.5, 5.0


def nikon(folder, *, offset=0.0, roll=0.0, tilt=0.0, initial=0.0, old=False, name="leg", lines=None):
    """As a Nikon cabinet: CIL's NikonDataReader and TIGRE's loader describe the text.

    In the room, x is to the right as the source sees it, y along the beam, z up. The object turns clockwise seen from
    above. Pictures begin at the top right as the source sees it. The specimen's frame is (-x, y, -z): right-handed.
    """
    folder.mkdir(exist_ok=True)
    r, t = np.radians(roll), np.radians(tilt)
    axis = np.array([np.sin(r), np.sin(t) * np.cos(r), np.cos(t) * np.cos(r)])
    x = -(np.arange(COLUMNS) - (COLUMNS - 1) / 2) * PITCH
    z = -(np.arange(ROWS) - (ROWS - 1) / 2) * PITCH
    pixels = np.stack(np.broadcast_arrays(x[None, :], SDD, z[:, None]), -1)
    turns = -(initial + 360 / VIEWS * np.arange(VIEWS))  # by the right hand about the axis that points up
    frame = np.diag([-1.0, 1.0, -1.0]) @ _upright(axis)
    point = np.array([-offset, SOD, 0])
    point -= (point @ axis) * axis  # the specimen lies where the plane of the source's orbit meets the axis
    rays = seen(pixels, np.zeros(3), point, axis, turns, frame)
    for i, view in enumerate(np.exp(-line_integrals(rays, HALF))):
        tifffile.imwrite(folder / f"{name}_{i + 1:04d}.tif", np.round(view * 60000).astype("<u2"))
    half = offset * SDD / SOD
    lean = -np.tan(r) * ROWS * PITCH / 2
    axis_lines = (
        [f"CentreOfRotationTop={half + lean:.6f}", f"CentreOfRotationBottom={half - lean:.6f}"]
        if old
        else [f"ObjectOffsetX={offset}", f"ObjectRoll={roll}", f"ObjectTilt={tilt}", "CentreOfRotationTop=0"]
    )
    text = lines or [
        "[XTekCT]", f"Name={name}", "VoxelsX=64", "VoxelSizeX=0.2", f"SrcToObject={SOD}", f"SrcToDetector={SDD}",
        f"DetectorPixelsX={COLUMNS}", f"DetectorPixelsY={ROWS}", f"DetectorPixelSizeX={PITCH}",
        f"DetectorPixelSizeY={PITCH}", "DetectorOffsetX=0.0", "DetectorOffsetY=0.0", *axis_lines, "WhiteLevel=60000.0",
        f"Projections={VIEWS}", f"InitialAngle={initial}", f"AngularStep={360 / VIEWS}", "XraykV=80", "XrayuA=100",
        "Filter_ThicknessMM=0.5", "Filter_Material=Copper", "InputSeparator=_", f"InputFolderName={PLACE}",
        f"OutputFolderName={PLACE}", "[Xrays]", f"Operator={PERSON}",
    ]  # fmt: skip
    (folder / f"{name}.xtekct").write_bytes("\r\n".join(text).encode("latin-1"))
    return folder


def _upright(axis):
    """The specimen's axes before it turns, for an axis that leans: z along it, y towards the beam, x by the hand."""
    y = np.array([0.0, 1.0, 0.0])
    y = y - (y @ axis) * axis
    y /= np.linalg.norm(y)
    return np.stack([np.cross(y, axis), y, axis])


def skyscan(
    folder, *, line=None, direction="CC", extra=0, shift=0.0, turned=0.0, name="mouse07_", keys=(), missing=(), number=8
):
    """As a SkyScan: a log of the 2214's keys, and flat-corrected pictures.

    In the room, x runs along columns, y along the beam, z along rows. For CC the object turns by the right hand about
    z: with this, CIL's picture of a real scan was NRecon's. The central beam meets line `line`, counted from the last.
    The camera is turned by `turned` degrees, from the way that columns count towards that of the rows.
    """
    folder.mkdir(exist_ok=True)
    line = ROWS / 2 - 0.5 if line is None else line
    middle = ROWS - 1 - line
    x = (np.arange(COLUMNS) - (COLUMNS - 1) / 2 + shift) * PITCH
    z = (np.arange(ROWS) - middle) * PITCH
    x, z = np.meshgrid(x, z)
    turn = np.deg2rad(turned)
    x, z = np.cos(turn) * x - np.sin(turn) * z, np.sin(turn) * x + np.cos(turn) * z
    pixels = np.stack(np.broadcast_arrays(x, SDD - SOD, z), -1)
    views = VIEWS + extra
    turns = 360 / VIEWS * np.arange(views) * (1 if direction == "CC" else -1)
    rays = seen(pixels, np.array([0, -SOD, 0]), np.zeros(3), np.array([0, 0, 1.0]), turns, np.eye(3))
    for i, view in enumerate(np.exp(-line_integrals(rays, HALF))):
        if i not in missing:
            tifffile.imwrite(folder / f"{name}{i:0{number}d}.tif", np.round(view * 65535).astype("<u2"))
    told = {
        "[System]": None, "Scanner": "SkyScan2214", "Instrument S/N": "18A18002", "Home Directory": PLACE,
        "Camera Pixel Size (um)": PITCH * 250, "Camera X/Y Ratio": "1.0000", "[User]": None, "User Name": PERSON,
        "Computer Name": "GEHEIM-PC", "[Acquisition]": None, "Data Directory": PLACE, "Filename Prefix": name,
        "Number Of Files": f"  {views}", "Number Of Rows": f"  {ROWS}", "Number Of Columns": f" {COLUMNS}",
        "Filename Index Length": number, "Camera Binning": "4x4", "Image Rotation": "0.00000",
        "Optical Axis (line)": f"  {line:g}", "Object to Source (mm)": SOD, "Camera to Source (mm)": SDD,
        "Source Voltage (kV)": " 125", "Image Pixel Size (um)": f"{PITCH * SOD / SDD * 1000:.6f}",
        "Image Format": "TIFF", "Depth (bits)": 16, "Exposure (ms)": 108, "Rotation Step (deg)": f"{360 / VIEWS:.3f}",
        "Use 360 Rotation": "YES", "Flat Field Correction": "ON", "Filter": "Al 1mm", "Gantry Direction": "CC",
        "Rotation Direction": direction, "Type Of Detector Motion": "STEP AND SHOOT",
        "Study Date and Time": "17 May 2024  13h:50m:46s",
    } | dict(keys)  # fmt: skip
    text = [key if value is None else f"{key}={value}   " for key, value in told.items()]
    (folder / f"{name}.log").write_bytes("\r\n".join(text).encode("latin-1"))
    return folder


def skyscan_rec(folder, slices, *, suffix="bmp", first=455, name="mouse07__rec"):
    """As NRecon: 8-bit slices numbered from First Section, a preview beside them, and its log."""
    folder.mkdir(exist_ok=True)
    for i, values in enumerate(slices):
        path = folder / f"{name}{first + i:08d}.{suffix}"
        path.write_bytes(bmp(values)) if suffix == "bmp" else tifffile.imwrite(path, values)
    (folder / f"{name}_spr.bmp").write_bytes(bmp(slices[0][:5, :7]))
    text = [
        "[System]", "Scanner=SkyScan1275", "[User]", f"User Name={PERSON}", "[Acquisition]", "Filename Prefix=mouse07_",
        "Number Of Files=601", "Rotation Step (deg)=0.600", "Image Pixel Size (um)=7.000817",
        "Source Voltage (kV)=  80",
        "Filter=Al 1mm", "[Reconstruction]", "Reconstruction Program=NRecon", f"Dataset Directory={PLACE}",
        f"First Section={first}", f"Last Section={first + len(slices) - 1}", "Section to Section Step=1",
        f"Sections Count={len(slices)}", f"Result Image Width (pixels)={slices.shape[2]}", "Postalignment=-1.00",
        "Pixel Size (um)=7.00082", "Minimum for CS to Image Conversion=-0.003000",
        "Maximum for CS to Image Conversion=0.080000", "[File name convention]", "Filename Index Length=8",
        f"Filename Prefix={name}",
    ]  # fmt: skip
    (folder / f"{name}.log").write_bytes("\r\n".join(text).encode("latin-1"))
    return folder


def bmp(values):
    """A Windows bitmap of 8 grey bits: rows from the bottom, each padded to four bytes."""
    rows, columns = values.shape
    padded = np.zeros((rows, -(-columns // 4) * 4), np.uint8)
    padded[:, :columns] = values[::-1]
    palette = b"".join(bytes((i, i, i, 0)) for i in range(256))
    info = struct.pack("<IiiHHIIiiII", 40, columns, rows, 1, 8, 0, padded.size, 2835, 2835, 256, 256)
    start = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + padded.size, 0, 0, start) + info + palette + padded.tobytes()


def zeiss(path, *, shift=0.0, reference=True, angles=VIEWS, away=0.0, streams=(), broken=None):
    """As a Versa: a compound file, whose geometry CIL's ZEISSDataReader and mbirjax describe.

    In the room, x runs along columns, y along the beam, z along rows; the object turns by the right hand about z by
    Angles. The axis lies CenterShift pixels towards lower columns from the middle. Views lie beside their place by
    what Alignment tells, up to `away` pixels, towards lower columns and rows.
    """
    by = away * np.sin(np.arange(VIEWS))[:, None] * [1, -0.7]
    x = (np.arange(COLUMNS) - (COLUMNS - 1) / 2 + shift + by[:, :1]) * PITCH
    z = (np.arange(ROWS) - (ROWS - 1) / 2 + by[:, 1:]) * PITCH
    pixels = np.stack(np.broadcast_arrays(x[:, None, :], SDD - SOD, z[:, :, None]), -1)
    turns = -180 + 360 / VIEWS * np.arange(VIEWS)
    frame = np.diag([-1.0, -1.0, 1.0])  # at Angles 0 the specimen stands as it is: half a turn before
    rays = seen(pixels, np.array([0, -SOD, 0]), np.zeros(3), np.array([0, 0, 1.0]), turns + 180, frame)
    columns = np.linspace(0.9, 1.1, COLUMNS)  # the open beam is not even
    views = np.round(np.exp(-line_integrals(rays, HALF)) * columns * 20000).astype("<u2")
    told = {
        "ImageInfo/ImageWidth": ("<i4", [COLUMNS]), "ImageInfo/ImageHeight": ("<i4", [ROWS]),
        "ImageInfo/DataType": ("<i4", [5]), "ImageInfo/NoOfImages": ("<i4", [VIEWS]),
        "ImageInfo/ImagesTaken": ("<i4", [VIEWS]), "ImageInfo/AcquisitionMode": ("<i4", [0]),
        "ImageInfo/Angles": ("<f4", turns[:angles]), "ImageInfo/PixelSize": ("<f4", [PITCH * SOD / SDD * 1000]),
        "ImageInfo/StoRADistance": ("<f4", [-SOD] * VIEWS), "ImageInfo/DtoRADistance": ("<f4", [SDD - SOD] * VIEWS),
        "ImageInfo/XrayGeometry": ("<i4", [1]), "ImageInfo/Voltage": ("<f4", [80]),
        "ImageInfo/ExpTimes": ("<f4", [2.5] * VIEWS), "AutoRecon/CenterShift": ("<f4", [shift]),
        "Alignment/X-Shifts": ("<f4", by[:, 0]), "Alignment/Y-Shifts": ("<f4", by[:, 1]),
    }  # fmt: skip
    files = {name: np.array(values, dtype).tobytes() for name, (dtype, values) in told.items()}
    files["SampleInfo/Analyst"] = PERSON.encode("latin-1")
    files["ImageInfo/ReferenceFile"] = PLACE.encode("latin-1")
    files |= {f"ImageData{i // 100 + 1}/Image{i + 1}": view.tobytes() for i, view in enumerate(views)}
    if reference:
        files["ReferenceData/Image"] = np.broadcast_to(columns * 20000, (ROWS, COLUMNS)).astype("<f4").tobytes()
        files["ReferenceData/DataType"] = np.array([10], "<i4").tobytes()
    raw = compound(files | dict(streams))
    path.write_bytes(raw if broken is None else raw[:broken])
    return path


def compound(streams):
    """A compound file (MS-CFB, version 3) with these streams, by path; storages one deep."""
    sector, mini, cutoff, end, free = 512, 64, 4096, 0xFFFFFFFE, 0xFFFFFFFF
    storages = sorted({name.partition("/")[0] for name in streams if "/" in name})
    nodes = [("Root Entry", 5, b"")]
    nodes += [(name, 1, b"") for name in storages]
    nodes += [(name.rpartition("/")[2], 2, raw) for name, raw in streams.items()]
    owner = {1 + len(storages) + i: name.rpartition("/")[0] for i, name in enumerate(streams)}
    children = {0: [i for i in range(1, len(nodes)) if not owner.get(i)]}
    children |= {1 + i: [k for k, o in owner.items() if o == name] for i, name in enumerate(storages)}
    links = {}  # a tree of siblings that is a chain to the right, in the order of the specification

    def chain(members):
        ordered = sorted(members, key=lambda i: (len(nodes[i][0]), nodes[i][0].upper()))
        for one, following in zip(ordered, [*ordered[1:], free], strict=True):
            links[one] = following
        return ordered[0] if ordered else free

    below = {parent: chain(members) for parent, members in children.items()}
    ministream, minifat, starts = b"", [], {}
    for i, (_, kind, raw) in enumerate(nodes):
        if kind == 2 and len(raw) < cutoff:
            first, count = len(minifat), -(-len(raw) // mini)
            starts[i] = first if count else end
            minifat += [first + k + 1 for k in range(count - 1)] + [end] * bool(count)
            ministream += raw.ljust(count * mini, b"\0")
    fat, body = [], b""

    def put(raw):
        nonlocal body
        first, count = len(fat), -(-len(raw) // sector)
        fat.extend([first + k + 1 for k in range(count - 1)] + [end] * bool(count))
        body += raw.ljust(count * sector, b"\0")
        return first if count else end

    for i, (_, kind, raw) in enumerate(nodes):
        if kind == 2 and len(raw) >= cutoff:
            starts[i] = put(raw)
    starts[0] = put(ministream)
    minifat_start = put(np.array(minifat, "<u4").tobytes().ljust(-(-len(minifat) * 4 // sector) * sector, b"\xff"))
    directory = b""
    for i, (name, kind, raw) in enumerate(nodes):
        letters = name.encode("utf-16-le") + b"\0\0"
        directory += letters.ljust(64, b"\0") + struct.pack("<HBB", len(letters), kind, 1)
        directory += struct.pack("<III", free, links.get(i, free), below.get(i, free)) + bytes(36)
        size = len(ministream) if i == 0 else len(raw)
        directory += struct.pack("<IQ", starts.get(i, 0 if kind == 1 else end), size)
    directory_start = put(directory.ljust(-(-len(directory) // sector) * sector, b"\0"))
    tables = 1
    while tables * sector // 4 < len(fat) + tables:
        tables += 1
    fat_start = len(fat)
    fat += [0xFFFFFFFD] * tables
    body += np.array(fat + [free] * (tables * sector // 4 - len(fat)), "<u4").tobytes()
    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    head += struct.pack("<IIIIIIIIII", 0, tables, directory_start, 0, cutoff, minifat_start,
                        -(-len(minifat) * 4 // sector), end, 0, fat_start)  # fmt: skip
    head += struct.pack("<I", fat_start + 1) if tables > 1 else b""
    head += b"".join(struct.pack("<I", fat_start + k) for k in range(2, tables))
    return head.ljust(sector, b"\xff") + body


def edf(folder, *, name="spine_", extra=2, packed=False, order="LowByteFirst", info=True, missing=(), flats=True):
    """As an ESRF beamline: parallel beam, half a turn, flats before and after, an average dark, and NAME.info."""
    folder.mkdir(exist_ok=True)
    t = np.radians(180 / VIEWS * np.arange(VIEWS + extra))
    pitch = 2 * HALF / COLUMNS
    u = (np.arange(COLUMNS) - (COLUMNS - 1) / 2) * pitch
    v = (np.arange(ROWS) - (ROWS - 1) / 2) * pitch
    pictures = []
    for angle in t:  # columns run along (cos t, sin t) of the specimen
        across, along = np.array([np.cos(angle), np.sin(angle), 0]), np.array([-np.sin(angle), np.cos(angle), 0])
        starts = u[None, :, None] * across + v[:, None, None] * np.array([0, 0, 1.0]) - 100 * along
        pictures.append(line_integrals(Rays(starts, np.broadcast_to(along, starts.shape)), HALF))
    open_beam = np.linspace(900, 1100, COLUMNS) * 20
    for i, lines in enumerate(pictures):
        if i not in missing:
            _edf(folder / f"{name}{i:04d}.edf", np.exp(-lines) * open_beam + 100, order, packed)
    for i in (0, VIEWS) if flats else ():
        _edf(folder / f"refHST{i:04d}.edf", np.broadcast_to(open_beam + 100, (ROWS, COLUMNS)), order, packed)
    _edf(folder / "dark.edf", np.full((ROWS, COLUMNS), 100.0), order, packed)
    if info:
        text = [
            "Energy= 26", "Distance= 150", f"Prefix= {name}", f"Directory= {PLACE}", "ScanRange= 180",
            f"TOMO_N= {VIEWS}", f"REF_ON= {VIEWS}", "REF_N= 20", "DARK_N= 20", f"Dim_1= {COLUMNS}", f"Dim_2= {ROWS}",
            "Count_time= 0.1", f"PixelSize= {pitch * 1000}", "SrCurrent= 198", f"Comment= {PERSON}",
        ]  # fmt: skip
        (folder / f"{name}.info").write_bytes("\r\n".join(text).encode("latin-1"))
    return folder


def _edf(path, values, order, packed):
    raw = np.round(values).astype("<u2" if order.startswith("Low") else ">u2").tobytes()
    head = (
        f"{{\r\nHeaderID = EH:000001:000000:000000 ;\r\nImage = 1 ;\r\nByteOrder = {order} ;\r\n"
        f"DataType = UnsignedShort ;\r\nDim_1 = {COLUMNS} ;\r\nDim_2 = {ROWS} ;\r\nSize = {len(raw)} ;\r\n"
        f"title = {PERSON} ;\r\n"
    ).encode("latin-1")
    head += b" " * (-(len(head) + 2) % 512) + b"}\n"
    if packed:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(head + raw))
    else:
        path.write_bytes(head + raw)
