// The bytes: bodies of frames (transport_frame.cc), of which each side sends two in turn.
//
//   hello     := "evergrov" version:u32 nonce:byte*32    the dialler's; and what later versions add
//   challenge := "evergrov" version:u32 nonce:byte*32    the listener's, likewise
//   login     := proof:string name:string run:string     proof: 32 bytes, or none without a token
//   accepted  := proof:string name:string run:string
//   refused   := kind:u8 sentence:string                 in place of challenge or accepted
//
//   proof     := HMAC-SHA256(token, role all-frames-before name:string run:string)
//
// A proof is bound to both nonces and versions by what was said before it, and to its side by the
// role. The dialler proves first: a listener tells strangers nothing that depends on the token.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/transport_greeting.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "evergrove/base/bytes.h"
#include "evergrove/base/sha256.h"
#include "evergrove/runtime/signing.h"

namespace evergrove::runtime {
namespace {

constexpr std::string_view kMagic = "evergrov";
constexpr uint32_t kVersionMin = 2;  // 1 was another protocol
constexpr size_t kLineMax = 600;

std::string frame_of(FrameKind kind, std::string_view body) {
  const FrameHeaderBytes header = encode_header({kind, static_cast<uint32_t>(body.size())});
  return std::string(header.begin(), header.end()).append(body);
}

std::string opening(uint32_t version, const Nonce& nonce) {
  ByteWriter out;
  out.u32(version);
  return std::string(kMagic).append(out.bytes()).append(nonce.begin(), nonce.end());
}

// The version of a hello or a challenge. Its nonce needs no reading: it is in what was said.
Result<uint32_t> version_of(std::string_view body, uint32_t version_max) {
  const Status no_greeting =
      corrupt("The peer's greeting is not one of Evergrove; check the address");
  if (!body.starts_with(kMagic)) return no_greeting;
  ByteReader in(body.substr(kMagic.size()));
  const uint32_t version = in.u32();
  const bool is_later = version > version_max;
  const size_t size = kMagic.size() + 4 + kNonceBytes;
  if (!in.ok() || version < kVersionMin) return no_greeting;
  if (!is_later && body.size() != size) return no_greeting;
  return version;
}

Status status_of(std::string_view body) {
  ByteReader in(body);
  const auto kind = static_cast<StatusKind>(in.u8());
  const std::string sentence = in.string();
  if (!in.at_end() || kind == StatusKind::ok || kind > StatusKind::internal) {
    return corrupt("The peer refuses us without a reason that is one");
  }
  return {kind, first_line(sentence)};
}

}  // namespace

size_t GreetingFrame::missing() const {
  const size_t whole = kFrameHeaderBytes + (bytes_.size() < kFrameHeaderBytes ? 0 : header_.bytes);
  return whole - bytes_.size();
}

Status GreetingFrame::take(std::string_view bytes) {
  const bool had_header = bytes_.size() >= kFrameHeaderBytes;
  bytes_.append(bytes);
  if (had_header || bytes_.size() < kFrameHeaderBytes) return {};
  EVERGROVE_ASSIGN_OR_RETURN(header_, decode_header(bytes_));
  if (header_.bytes <= kGreetingBytesMax) return {};
  return corrupt("The peer sends messages before it has said who it is");
}

struct Greeting::Introduction {
  std::string proof;
  std::string name;
  std::string run;
};

Greeting::Greeting(Side side, GreetingTerms terms, const Nonce& nonce)
    : side_(side),
      terms_(std::move(terms)),
      nonce_(nonce),
      next_(side == Side::listener ? FrameKind::hello : FrameKind::challenge) {}

std::string Greeting::begin() {
  if (side_ == Side::listener) return {};
  return say(FrameKind::hello, opening(terms_.version, nonce_));
}

Result<std::string> Greeting::take(const GreetingFrame& frame) {
  if (frame.kind() == FrameKind::refused && side_ == Side::dialler) {
    return status_of(frame.body());
  }
  if (frame.kind() != next_) {
    return corrupt("The peer's greeting is not one of Evergrove; check the address");
  }
  switch (frame.kind()) {
    case FrameKind::hello:
      return take_hello(frame);
    case FrameKind::challenge:
      return take_challenge(frame);
    case FrameKind::login:
      return take_login(frame);
    default:
      return take_accepted(frame);
  }
}

Result<std::string> Greeting::take_hello(const GreetingFrame& frame) {
  EVERGROVE_ASSIGN_OR_RETURN(const uint32_t version, version_of(frame.body(), terms_.version));
  if (version > terms_.version) {
    return unsupported(
        "This side's version of the protocol is older; update Evergrove here, or use there the "
        "version that is here",
        {{"version_max", std::to_string(terms_.version)}});
  }
  said_ += frame.bytes();
  next_ = FrameKind::login;
  return say(FrameKind::challenge, opening(terms_.version, nonce_));
}

Result<std::string> Greeting::take_challenge(const GreetingFrame& frame) {
  EVERGROVE_ASSIGN_OR_RETURN(const uint32_t version, version_of(frame.body(), terms_.version));
  if (version > terms_.version) {
    return unsupported("The peer speaks a later version of the protocol; update Evergrove here",
                       {{"peer_version", std::to_string(version)},
                        {"version_max", std::to_string(terms_.version)}});
  }
  said_ += frame.bytes();
  next_ = FrameKind::accepted;
  return say(FrameKind::login, introduction());
}

Result<std::string> Greeting::take_login(const GreetingFrame& frame) {
  EVERGROVE_ASSIGN_OR_RETURN(const Introduction peer, introduced(frame.body()));
  if (!terms_.token.empty() &&
      !is_same_secret(peer.proof, proof(Side::dialler, peer.name, peer.run))) {
    return invalid_input(peer.proof.empty()
                             ? "A token is needed; give the run's by --token-file"
                             : "The token is not this run's; give by --token-file the one that it "
                               "has");
  }
  if (!terms_.run.empty() && !peer.run.empty() && peer.run != terms_.run) {
    return invalid_input("This is another run; give the address of one of yours",
                         {{"run", terms_.run}, {"your_run", peer.run}});
  }
  said_ += frame.bytes();
  is_done_ = true;
  return say(FrameKind::accepted, introduction());
}

Result<std::string> Greeting::take_accepted(const GreetingFrame& frame) {
  EVERGROVE_ASSIGN_OR_RETURN(const Introduction peer, introduced(frame.body()));
  if (!terms_.token.empty() &&
      !is_same_secret(peer.proof, proof(Side::listener, peer.name, peer.run))) {
    return invalid_input(
        "The peer does not have the run's token itself; is the address one of the run's?");
  }
  if (!terms_.run.empty() && !peer.run.empty() && peer.run != terms_.run) {
    return invalid_input("The peer is of another run; give the address of one of this run",
                         {{"its_run", peer.run}, {"our_run", terms_.run}});
  }
  is_done_ = true;
  return std::string();
}

std::string Greeting::say(FrameKind kind, std::string_view body) {
  std::string frame = frame_of(kind, body);
  said_ += frame;
  return frame;
}

std::string Greeting::introduction() const {
  ByteWriter out;
  out.string(proof(side_, terms_.name, terms_.run)).string(terms_.name).string(terms_.run);
  return out.take();
}

Result<Greeting::Introduction> Greeting::introduced(std::string_view body) {
  ByteReader in(body);
  Introduction peer;
  peer.proof = in.string();
  peer.name = in.string();
  peer.run = in.string();
  const size_t longest = std::max(peer.name.size(), peer.run.size());
  if (!in.at_end() || longest > kGreetingTextMax) {
    return corrupt("The peer's greeting is not one of Evergrove; check the address");
  }
  peer_name_ = peer.name;
  return peer;
}

std::string Greeting::proof(Side side, std::string_view name, std::string_view run) const {
  if (terms_.token.empty()) return {};
  ByteWriter told;
  told.string(name).string(run);
  const char* role = side == Side::dialler ? "dialler" : "listener";
  return hmac_sha256(terms_.token, role + said_ + told.bytes());
}

std::string refusal(const Status& why) {
  ByteWriter out;
  out.u8(static_cast<uint8_t>(why.kind())).string(first_line(why.message()));
  return frame_of(FrameKind::refused, out.bytes());
}

Nonce make_nonce() {
  Nonce nonce = {};
  size_t filled = 0;
  while (filled < nonce.size()) {
    const ssize_t got = ::getrandom(nonce.data() + filled, nonce.size() - filled, 0);
    if (got > 0) filled += static_cast<size_t>(got);
  }
  return nonce;
}

bool is_same_secret(std::string_view a, std::string_view b) {
  // Of the hashes, so that the length does not show either.
  Sha256 left_hash;
  left_hash.update(a);
  Sha256 right_hash;
  right_hash.update(b);
  const Sha256::Digest left = left_hash.digest();
  const Sha256::Digest right = right_hash.digest();
  unsigned difference = 0;
  for (size_t i = 0; i < left.size(); ++i) {
    difference |= static_cast<unsigned>(left[i] ^ right[i]);
  }
  return difference == 0;
}

std::string first_line(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  std::string line;
  for (char c : text.substr(0, kLineMax)) {
    const auto byte = static_cast<unsigned char>(c);
    line += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  if (text.size() > kLineMax) line += "...";
  return line;
}

}  // namespace evergrove::runtime
