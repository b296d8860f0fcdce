// ByteWriter and ByteReader: the canonical bytes of everything that is hashed, logged or sent.
//
// Little-endian, fixed width, no padding; a string is its length (u32) and its bytes; a varint has
// 7 bits a byte, lowest first, and the high bit set in all bytes but its last. The reader
// never reads beyond its end and never takes memory for a count that its bytes cannot hold: after
// a failure every further read gives zero and ok() is false, so one check at the end is enough.
//
//   ByteWriter out;            ByteReader in(bytes);
//   out.u32(7).string("a");    uint32_t n = in.u32(); std::string s = in.string();
//                              if (!in.at_end()) return corrupt(...);
//
// Bytes: some that several have, or a part of them, without a copy.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace evergrove {

// Numbers are written as they lie in memory.
static_assert(std::endian::native == std::endian::little);

// A part of a larger buffer, which `owner` keeps; without an owner its caller does.
struct Bytes {
  std::string_view view;
  std::shared_ptr<const void> owner;

  static Bytes of(std::string bytes) {
    const auto kept = std::make_shared<const std::string>(std::move(bytes));
    return {*kept, kept};
  }
  Bytes from(size_t position) const { return {view.substr(position), owner}; }
  Bytes first(size_t size) const { return {view.substr(0, size), owner}; }
  friend bool operator==(const Bytes& a, const Bytes& b) { return a.view == b.view; }
};

inline size_t size_of(const std::vector<Bytes>& pieces) {
  size_t size = 0;
  for (const Bytes& piece : pieces) size += piece.view.size();
  return size;
}
inline std::string joined(const std::vector<Bytes>& pieces) {
  std::string whole;
  whole.reserve(size_of(pieces));
  for (const Bytes& piece : pieces) whole += piece.view;
  return whole;
}

class ByteWriter {
 public:
  ByteWriter& u8(uint8_t v) { return put(v, 1); }
  ByteWriter& u32(uint32_t v) { return put(v, 4); }
  ByteWriter& u64(uint64_t v) { return put(v, 8); }
  ByteWriter& i32(int32_t v) { return put(static_cast<uint32_t>(v), 4); }
  ByteWriter& i64(int64_t v) { return put(static_cast<uint64_t>(v), 8); }
  ByteWriter& f64(double v) { return put(std::bit_cast<uint64_t>(v), 8); }
  ByteWriter& string(std::string_view v) {
    u32(static_cast<uint32_t>(v.size()));
    bytes_.append(v);
    return *this;
  }
  ByteWriter& varint(uint64_t v) {
    for (; v >= 0x80; v >>= 7) bytes_ += static_cast<char>(v | 0x80);
    bytes_ += static_cast<char>(v);
    return *this;
  }
  // As they are, without their size.
  ByteWriter& raw(std::string_view bytes) {
    bytes_.append(bytes);
    return *this;
  }
  // As string(); what is not short is kept as it is, so that take_pieces() need not copy it.
  ByteWriter& attached_string(Bytes v) {
    constexpr size_t kAttachedFrom = 512;
    if (v.view.size() < kAttachedFrom) return string(v.view);
    u32(static_cast<uint32_t>(v.view.size()));
    attached_bytes_ += v.view.size();
    attached_.push_back({bytes_.size(), std::move(v)});
    return *this;
  }
  // Over what was written there before. Requires: four bytes were.
  void set_u32(size_t place, uint32_t v) { std::memcpy(bytes_.data() + place, &v, sizeof(v)); }
  // Room for so many more, so that they are not moved while they are written.
  void reserve(size_t more) { bytes_.reserve(bytes_.size() + more); }
  // Of all, with what is attached.
  size_t size() const { return bytes_.size() + attached_bytes_; }
  // Without what is attached.
  const std::string& bytes() const { return bytes_; }
  // All of it; it is empty again.
  std::string take() {
    if (attached_.empty()) return std::exchange(bytes_, {});
    return joined(take_pieces());
  }
  // The same in pieces that follow one another, of which only the small ones were copied.
  std::vector<Bytes> take_pieces() {
    const Bytes own = Bytes::of(std::exchange(bytes_, {}));
    std::vector<Bytes> pieces;
    size_t begin = 0;
    for (Attached& attached : attached_) {
      if (attached.place > begin) pieces.push_back(own.from(begin).first(attached.place - begin));
      pieces.push_back(std::move(attached.bytes));
      begin = attached.place;
    }
    if (begin < own.view.size()) pieces.push_back(own.from(begin));
    attached_.clear();
    attached_bytes_ = 0;
    return pieces;
  }

 private:
  ByteWriter& put(uint64_t v, size_t width) {
    bytes_.append(reinterpret_cast<const char*>(&v), width);
    return *this;
  }

  struct Attached {
    size_t place = 0;  // in bytes_
    Bytes bytes;
  };
  std::string bytes_;
  std::vector<Attached> attached_;
  size_t attached_bytes_ = 0;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}
  // `bytes` outlives it.
  explicit ByteReader(const Bytes& bytes) : bytes_(bytes.view), owner_(&bytes.owner) {}

  uint8_t u8() { return static_cast<uint8_t>(get(1)); }
  uint32_t u32() { return static_cast<uint32_t>(get(4)); }
  uint64_t u64() { return get(8); }
  int32_t i32() { return static_cast<int32_t>(u32()); }
  int64_t i64() { return static_cast<int64_t>(u64()); }
  double f64() { return std::bit_cast<double>(u64()); }
  std::string string() {
    const uint32_t size = u32();
    if (!need(size)) return {};
    std::string value(bytes_.substr(position_, size));
    position_ += size;
    return value;
  }
  // Empty, and it fails, if there are not so many.
  std::string_view raw(size_t size) {
    if (!need(size)) return {};
    position_ += size;
    return bytes_.substr(position_ - size, size);
  }
  // What string() has written; a part of what is read, if that has an owner, else a copy.
  Bytes shared_string() {
    if (owner_ == nullptr || *owner_ == nullptr) return Bytes::of(string());
    const uint32_t size = u32();
    if (!need(size)) return {};
    Bytes value{bytes_.substr(position_, size), *owner_};
    position_ += size;
    return value;
  }
  // Fails on what is longer than it has to be, or than 64 bits.
  uint64_t varint() {
    uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
      const uint64_t byte = get(1);
      if ((shift == 63 && byte > 1) || (shift > 0 && byte == 0)) ok_ = false;
      if (!ok_) return 0;
      v |= (byte & 0x7f) << shift;
      if (byte < 0x80) return v;
    }
  }
  // Reads a count of items that take at least item_bytes each; fails, and gives 0, if the rest of
  // the bytes cannot hold so many.
  uint32_t count(size_t item_bytes) {
    const uint32_t n = u32();
    if (n > 0 && (bytes_.size() - position_) / item_bytes < n) ok_ = false;
    return ok_ ? n : 0;
  }
  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && position_ == bytes_.size(); }
  void fail() { ok_ = false; }

 private:
  bool need(size_t width) {
    if (bytes_.size() - position_ < width) ok_ = false;
    return ok_;
  }
  uint64_t get(size_t width) {
    if (!need(width)) return 0;
    uint64_t v = 0;
    std::memcpy(&v, bytes_.data() + position_, width);
    position_ += width;
    return v;
  }

  std::string_view bytes_;
  const std::shared_ptr<const void>* owner_ = nullptr;
  size_t position_ = 0;
  bool ok_ = true;
};

}  // namespace evergrove
