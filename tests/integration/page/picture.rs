//! Pictures for the documents: few colours, so that they are small.

use std::collections::HashMap;

use png::{BitDepth, ColorType, Compression, Decoder, Encoder, Filter};

/// Enough for text on few grounds.
const COLOURS: usize = 64;

type Colour = [u8; 3];

/// The same picture with the colours that are most of it; each other one becomes the nearest of them.
pub fn with_few_colours(picture: &[u8]) -> Vec<u8> {
    let mut reader = Decoder::new(std::io::Cursor::new(picture)).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!(info.bit_depth, BitDepth::Eight);
    let pixels: Vec<Colour> =
        bytes[..info.buffer_size()].chunks(info.color_type.samples()).map(|p| [p[0], p[1], p[2]]).collect();

    let mut counts: HashMap<Colour, usize> = HashMap::new();
    for pixel in &pixels {
        *counts.entry(*pixel).or_default() += 1;
    }
    let mut palette: Vec<Colour> = counts.keys().copied().collect();
    palette.sort_by_key(|colour| (std::cmp::Reverse(counts[colour]), *colour));
    palette.truncate(COLOURS);
    let places: HashMap<Colour, u8> =
        counts.into_keys().map(|colour| (colour, nearest(&palette, colour))).collect();
    let indexes: Vec<u8> = pixels.iter().map(|pixel| places[pixel]).collect();

    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, info.width, info.height);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_palette(palette.concat());
    encoder.set_compression(Compression::High);
    encoder.set_filter(Filter::NoFilter);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&indexes).unwrap();
    writer.finish().unwrap();
    file
}

/// The place of the colour that differs least.
fn nearest(palette: &[Colour], colour: Colour) -> u8 {
    let distance = |other: &Colour| -> u32 {
        colour.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum()
    };
    let place = (0..palette.len()).min_by_key(|place| distance(&palette[*place])).unwrap();
    u8::try_from(place).unwrap()
}

#[test]
fn a_picture_with_few_colours_shows_the_same() {
    // A ground, and ink that fades into it by steps; a speck of another colour is lost.
    let ink = |n: usize| [n * 5, n * 4, 7].map(|part| u8::try_from(part).unwrap());
    let mut bytes: Vec<u8> =
        (0..64 * 64).flat_map(|n| if n % 4 > 0 { [250; 3] } else { ink(n / 4 % 50) }).collect();
    bytes[..3].copy_from_slice(&[255, 0, 255]);
    let mut large = Vec::new();
    let mut encoder = Encoder::new(&mut large, 64, 64);
    encoder.set_color(ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
    let small = with_few_colours(&large);
    let mut reader = Decoder::new(std::io::Cursor::new(&small)).read_info().unwrap();
    assert_eq!((reader.info().width, reader.info().height), (64, 64));
    let palette: Vec<u8> = reader.info().palette.clone().unwrap().into_owned();
    let mut indexes = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut indexes).unwrap();
    let shown: Vec<u8> =
        indexes.iter().flat_map(|index| &palette[usize::from(*index) * 3..][..3]).copied().collect();
    assert_eq!(shown[3..], bytes[3..]);
}
