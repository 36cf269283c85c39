//! The checksum at the end of a `DUMP` payload: CRC-64 with the polynomial of Jones, reflected,
//! no initial and no final inversion. Bit by bit: payloads in tests are short.

const POLYNOMIAL_REFLECTED: u64 = 0x95AC_9329_AC4B_C9B5;

/// The checksum of `bytes`.
pub(crate) fn crc64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ u64::from(byte), |crc, _| {
            (crc >> 1) ^ (POLYNOMIAL_REFLECTED * (crc & 1))
        })
    })
}

/// The payload of a `DUMP` with its last eight bytes made right.
pub(crate) fn seal(mut payload: Vec<u8>) -> Vec<u8> {
    let body = payload.len() - 8;
    let crc = crc64(&payload[..body]);
    payload[body..].copy_from_slice(&crc.to_le_bytes());
    payload
}
