"""A tiny face kit made on the fly, in the layout of the npz cache, and a person fitted to it."""

import json

import numpy as np
import pytest

from ferce.data.rendering.clay import Correspondence
from ferce.data.rendering.compose import AssetPaths
from ferce.data.rendering.kit import _kit
from ferce.data.rendering.person import Credit, Person, save_person
from ferce.data.rendering.raster import STUDIO, Camera
from ferce.data.rendering.texture import EYE_RINGS, IRISES, LOWER_INNER_LIP, UPPER_INNER_LIP

STEP = 0.5  # cm between the vertices of the face grid
# Centres, reach and push of the shapes on the subject's left side (x > 0), cm.
BUMPS = {
    "browInnerUp": ((1.8, 6.0), 1.4, (0, 0.9, 0.1)),
    "browOuterUp": ((4.5, 6.2), 1.6, (0, 0.9, 0)),
    "browDown": ((3.0, 6.0), 2.0, (-0.3, -0.7, 0.1)),
    "eyeWide": ((3.2, 4.2), 0.8, (0, 0.35, 0)),
    "eyeSquint": ((3.2, 2.6), 0.8, (0, 0.35, 0.1)),
    "eyeBlink": ((3.2, 4.0), 0.9, (0, -0.9, 0.1)),
    "cheekSquint": ((4.0, 1.0), 1.6, (0, 0.5, 0.4)),
    "cheekRaiser": ((4.2, 1.4), 1.6, (0, 0.5, 0.4)),
    "noseSneer": ((1.2, 0.5), 1.2, (0, 0.6, 0.1)),
    "mouthUpperUp": ((1.0, -2.6), 1.0, (0, 0.7, 0)),
    "mouthSmile": ((2.5, -3.5), 1.6, (0.8, 0.9, -0.2)),
    "mouthDimple": ((2.6, -3.5), 1.0, (0.4, 0, -0.3)),
    "mouthFrown": ((2.5, -3.5), 1.4, (0.1, -0.8, 0)),
    "mouthLowerDown": ((1.0, -4.4), 1.0, (0, -0.7, 0)),
    "mouthStretch": ((2.6, -3.6), 1.5, (0.9, -0.2, -0.2)),
    "mouthPress": ((1.2, -3.5), 1.4, (0, 0.1, -0.3)),
}
MIDDLE = {
    "jawOpen": ((0, -6.5), 3.0, (0, -2.2, -0.4)),
    "mouthClose": ((0, -4.2), 1.2, (0, 0.6, 0)),
    "mouthPucker": ((0, -3.5), 2.0, (0, 0, 0.8)),
    "mouthFunnel": ((0, -3.5), 2.0, (0, 0, 0.9)),
    "mouthShrugLower": ((0, -4.4), 1.4, (0, 0.6, 0.2)),
    "mouthShrugUpper": ((0, -2.6), 1.4, (0, 0.4, 0.2)),
    "mouthRollUpper": ((0, -2.9), 1.2, (0, -0.2, -0.4)),
    "mouthRollLower": ((0, -4.1), 1.2, (0, 0.2, -0.4)),
}


def template68():
    """(68, 2) landmarks of a plain face, cm, iBUG order; the picture's left is x < 0."""
    turn = np.linspace(np.pi, 2 * np.pi, 17)
    jaw = np.stack([7.2 * np.cos(turn), 3.5 + 11 * np.sin(turn)], 1)
    brow = np.array([(-5.8, 5.4), (-5.0, 6.2), (-3.8, 6.4), (-2.4, 6.2), (-1.2, 5.8)])
    nose = [(0, 3.6), (0, 2.5), (0, 1.4), (0, 0.4)]
    wings = [(-1.5, -0.9), (-0.7, -1.2), (0, -1.3), (0.7, -1.2), (1.5, -0.9)]
    eye = np.array([(-4.5, 3.4), (-3.8, 4.0), (-2.6, 4.0), (-1.8, 3.3), (-2.6, 2.8), (-3.8, 2.8)])
    mouth = ring((0, -3.5), (2.5, 1.0), 12, start=np.pi)
    inner = ring((0, -3.5), (1.8, 0.4), 8, start=np.pi)
    other = eye[[3, 2, 1, 0, 5, 4]] * (-1, 1)
    parts = (jaw, brow, brow[::-1] * (-1, 1), nose, wings, eye, other, mouth, inner)
    return np.concatenate([np.asarray(p, float) for p in parts])


def ring(centre, radii, count, start=0.0):
    turn = start - np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([centre[0] + radii[0] * np.cos(turn), centre[1] + radii[1] * np.sin(turn)], 1)


def grid(xs, ys, depth):
    """Vertices and triangles (counter-clockwise from the front) of a height field."""
    x, y = np.meshgrid(xs, ys)
    vertices = np.stack([x, y, depth(x, y)], -1).reshape(-1, 3)
    n = len(xs)
    cells = np.array([r * n + c for r in range(len(ys) - 1) for c in range(n - 1)])
    first = np.stack([cells, cells + 1, cells + n + 1], 1)
    second = np.stack([cells, cells + n + 1, cells + n], 1)
    return vertices, np.concatenate([first, second])


def face_depth(x, y):
    return 11 - 0.09 * x**2 - 0.03 * y**2 + 1.4 * np.exp(-(x**2) - (y / 2.0) ** 2)


def arrays():
    """What the kit's npz holds, for a face of about 1,400 vertices."""
    pieces = [("face", *grid(np.arange(-8, 8.1, STEP), np.arange(-10.5, 10.6, STEP), face_depth))]
    for side, name in ((1, "left"), (-1, "right")):
        centre = np.array([3.2 * side, 3.4])
        span = np.linspace(-1.2, 1.2, 9)
        ball = grid(centre[0] + span, centre[1] + span * 0.45, eye_depth(centre))
        pieces.append((f"sclera_{name}", *ball))
    for name, y in (("teeth_upper", -3.0), ("teeth_lower", -4.0)):
        for x in (-1.0, 1.0):
            tooth = grid(x + np.linspace(-0.9, 0.9, 3), y + np.linspace(-0.4, 0.4, 3), teeth_depth)
            pieces.append((name, *tooth))
    names = ["face", "sclera_left", "sclera_right", "teeth_upper", "teeth_lower"]
    return assemble(pieces, names)


def eye_depth(centre):
    return lambda x, y: (
        face_depth(*centre) + 1.0 - 0.5 * ((x - centre[0]) ** 2 + (y - centre[1]) ** 2)
    )


def teeth_depth(x, y):
    return 8.0 + 0 * x + 0 * y


def assemble(pieces, names):
    vertices, triangles, part, tri_part, start = [], [], [], [], 0
    for name, points, corners in pieces:
        vertices.append(points)
        triangles.append(corners + start)
        part.append(np.full(len(points), names.index(name)))
        tri_part.append(np.full(len(corners), names.index(name)))
        start += len(points)
    mean = np.concatenate(vertices)
    face = len(pieces[0][1])
    shapes = expressions(mean, face)
    marks = template68()
    near = ((mean[:face, None, :2] - marks[None]) ** 2).sum(2).argmin(0)
    return {
        "vertices": mean.astype(np.float32),
        "triangles": np.concatenate(triangles).astype(np.int32),
        "vertex_part": np.concatenate(part).astype(np.uint8),
        "triangle_part": np.concatenate(tri_part).astype(np.uint8),
        "part_names": np.array(names),
        "narrow_face_vertices": np.int32(face),
        "identity_deltas": identities(mean),
        "expression_deltas": np.array(list(shapes.values()), np.float16),
        "expression_names": np.array(list(shapes)),
        "landmarks68": near.astype(np.int32),
    }


def identities(mean):
    """Wider, longer, deeper."""
    scale = np.zeros((3, len(mean), 3), np.float16)
    for k in range(3):
        scale[k, :, k] = 0.05 * mean[:, k]
    return scale


def expressions(mean, face):
    out = {}
    for name, (centre, reach, push) in MIDDLE.items():
        out[name] = bump(mean, face, centre, reach, push)
    for name, (centre, reach, push) in BUMPS.items():
        left = bump(mean, face, centre, reach, push) * (mean[:, :1] > 0)
        mirrored = bump(mean, face, (-centre[0], centre[1]), reach, (-push[0], *push[1:]))
        out[name + "_L"], out[name + "_R"] = left, mirrored * (mean[:, :1] < 0)
    return out


def bump(mean, face, centre, reach, push):
    away = ((mean[:, :2] - centre) ** 2).sum(1)
    share = np.exp(-0.5 * away / reach**2) * (np.arange(len(mean)) < face)
    return share[:, None] * np.asarray(push)


def tiny_kit():
    return _kit(arrays())


def mesh_places():
    """(478, 2) cm on the mean head: the landmarks ferce names by index lie where they belong."""
    rng = np.random.default_rng(0)
    out = np.stack([rng.uniform(-7, 7, 478), rng.uniform(-8, 9, 478)], 1)
    for side, eye, iris in ((-1, EYE_RINGS[0], IRISES[0]), (1, EYE_RINGS[1], IRISES[1])):
        around = ring((3.2 * side, 3.4), (1.3, 0.6), 16, np.pi)
        out[list(eye)] = around
        out[list(iris)] = [(3.2 * side, 3.4), *ring((3.2 * side, 3.4), (0.6, 0.6), 4)]
    out[33], out[133], out[362], out[263] = (-4.5, 3.4), (-1.8, 3.4), (1.8, 3.4), (4.5, 3.4)
    width = np.linspace(-1.8, 1.8, 11)
    out[list(UPPER_INNER_LIP)] = np.stack([width, np.full(11, -3.45)], 1)
    out[list(LOWER_INNER_LIP)] = np.stack([width, np.full(11, -3.55)], 1)
    out[10] = (0, 9.5)
    return out


def correspondence(kit):
    places = mesh_places()
    face = kit.vertices[: kit.narrow, :2]
    vertex = ((face[None] - places[:, None]) ** 2).sum(2).argmin(1)
    return Correspondence(vertex.astype(np.int32), np.ones(478, np.float32))


def portrait(size=512):
    """A picture with structure everywhere, (S, S, 3)."""
    ys, xs = np.mgrid[:size, :size]
    red = 150 + 40 * np.sin(xs / 19) * np.cos(ys / 23)
    return np.stack([red, 0.8 * red, 110 + 0 * red], -1).astype(np.uint8)


def tiny_person(kit, name="ann", split="train"):
    scale = 16.0
    camera = Camera(np.eye(3, dtype=np.float32), scale, (256.0, 256.0))
    points = camera.project(kit.vertices)
    marks = (mesh_places() * (scale, -scale) + 256).astype(np.float32)
    return Person(
        credit=Credit(name, "made", "CC0-1.0", "nobody", split),
        image=portrait(),
        landmarks=marks,
        vertices=kit.vertices,
        rest=kit.vertices,
        places=points[:, :2].copy(),
        camera=camera,
        light=STUDIO,
        skin=np.array([170, 130, 110], np.float32),
        yaw=0.0,
        error=1.0,
    )


def write_checkout(folder):
    """A mini OBJ checkout: quads, texture indices, two identities, two shapes."""
    folder.mkdir(parents=True)
    square = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], float)
    write_obj(folder / "generic_neutral_mesh.obj", square)
    write_obj(folder / "jawOpen.obj", square + np.array([0, -0.5, 0]))
    write_obj(folder / "cheekRaiser_L.obj", square + np.array([0, 0, 0.25]))
    for i in range(2):
        write_obj(folder / f"identity{i:03d}.obj", square * (1 + 0.1 * (i + 1)))
    config = {"expressions": ["jawOpen"], "idx_to_landmark_verts": [i % 4 for i in range(68)]}
    (folder / "vertex_indices.json").write_text(json.dumps(config))


def write_obj(path, vertices):
    lines = [f"v {x} {y} {z}" for x, y, z in vertices]
    lines += ["vt 0 0", "f 1/1 2/1 3/1 4/1"]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(name="asset_paths")
def make_studio(tmp_path):
    """A studio with the tiny kit and two fitted people, ann (train) and bob (test)."""
    folder = tmp_path / "studio"
    (folder / "people").mkdir(parents=True)
    np.savez(folder / "kit.npz", **arrays())
    kit = tiny_kit()
    correspondence(kit).save(folder / "landmarks.npz")
    for name, split in (("ann", "train"), ("bob", "test")):
        save_person(tiny_person(kit, name, split), folder / "people" / f"{name}.npz")
    return AssetPaths(folder / "kit.npz", folder / "people", folder / "landmarks.npz")
