// Certificates by Mbed TLS, linked statically: libparquet has an OpenSSL of its own whose names it
// lets everybody see, and two of them in one process would be mixed.
// SPDX-License-Identifier: Apache-2.0
#include "evergrove/runtime/tls_credentials.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ecp.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <utility>

#include "evergrove/base/hex.h"
#include "evergrove/runtime/durable_file.h"

namespace evergrove::runtime {
namespace {

constexpr const char* kCaName = "CN=Evergrove run CA";
constexpr const char* kCertificateName = "CN=evergrove";
constexpr int kDaysValid = 730;
constexpr size_t kTokenBytes = 32;
constexpr size_t kTokenFileBytesMax = 4096;
constexpr size_t kPemBytesMax = 16384;
constexpr size_t kHostsMax = 100;

Status check(int code, std::string_view what) {
  if (code == 0) return {};
  char text[128] = {};
  mbedtls_strerror(code, text, sizeof text);
  return internal_error("Credentials could not be made",
                        {{"step", std::string(what)}, {"reason", text}});
}

// A C structure with the two functions that begin and end it.
template <typename T, void (*kInit)(T*), void (*kFree)(T*)>
class Owned {
 public:
  Owned() { kInit(&value_); }
  ~Owned() { kFree(&value_); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  T* get() { return &value_; }

 private:
  T value_;
};

using Entropy = Owned<mbedtls_entropy_context, mbedtls_entropy_init, mbedtls_entropy_free>;
using Generator = Owned<mbedtls_ctr_drbg_context, mbedtls_ctr_drbg_init, mbedtls_ctr_drbg_free>;
using Key = Owned<mbedtls_pk_context, mbedtls_pk_init, mbedtls_pk_free>;
using Number = Owned<mbedtls_mpi, mbedtls_mpi_init, mbedtls_mpi_free>;
using CertificateWriter =
    Owned<mbedtls_x509write_cert, mbedtls_x509write_crt_init, mbedtls_x509write_crt_free>;
using Certificate = Owned<mbedtls_x509_crt, mbedtls_x509_crt_init, mbedtls_x509_crt_free>;

// What is to be in a certificate.
struct Contents {
  const char* subject = nullptr;
  mbedtls_pk_context* subject_key = nullptr;
  mbedtls_pk_context* issuer_key = nullptr;
  bool is_ca = false;
  std::string alternative_names;  // DER, unless a CA
};

// One DER element: tag, length, contents.
std::string der(uint8_t tag, std::string_view contents) {
  std::string bytes(1, static_cast<char>(tag));
  const size_t size = contents.size();
  if (size < 128) {
    bytes += static_cast<char>(size);
  } else if (size < 256) {
    bytes += {static_cast<char>(0x81), static_cast<char>(size)};
  } else {
    bytes += {static_cast<char>(0x82), static_cast<char>(size >> 8), static_cast<char>(size)};
  }
  return bytes.append(contents);
}

constexpr uint8_t kDerSequence = 0x30;
constexpr uint8_t kDerDnsName = 0x82;    // of a GeneralName, RFC 5280
constexpr uint8_t kDerIpAddress = 0x87;  // likewise

std::string alternative_name(const std::string& host) {
  char address[16];
  if (inet_pton(AF_INET, host.c_str(), address) == 1) {
    return der(kDerIpAddress, std::string_view(address, 4));
  }
  if (inet_pton(AF_INET6, host.c_str(), address) == 1) {
    return der(kDerIpAddress, std::string_view(address, 16));
  }
  return der(kDerDnsName, host);
}

bool is_host_name(std::string_view host) {
  return !host.empty() && host.size() <= 253 && std::ranges::all_of(host, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == ':' || c == '*' || c == '_';
  });
}

std::string time_text(time_t when) {
  tm parts = {};
  gmtime_r(&when, &parts);
  char text[16];
  const size_t size = std::strftime(text, sizeof text, "%Y%m%d%H%M%S", &parts);
  return std::string(text, size);
}

Status make_key(Key& key, Generator& generator) {
  EVERGROVE_RETURN_IF_ERROR(
      check(mbedtls_pk_setup(key.get(), mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)), "key"));
  return check(mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key.get()),
                                   mbedtls_ctr_drbg_random, generator.get()),
               "key");
}

Status set_extension(CertificateWriter& writer, std::string_view oid, const std::string& value) {
  return check(mbedtls_x509write_crt_set_extension(
                   writer.get(), oid.data(), oid.size(), 0,
                   reinterpret_cast<const unsigned char*>(value.data()), value.size()),
               "extension");
}

Status set_extensions(CertificateWriter& writer, const Contents& contents) {
  EVERGROVE_RETURN_IF_ERROR(
      check(mbedtls_x509write_crt_set_basic_constraints(writer.get(), contents.is_ca ? 1 : 0, -1),
            "constraints"));
  const unsigned usage =
      contents.is_ca ? MBEDTLS_X509_KU_KEY_CERT_SIGN : MBEDTLS_X509_KU_DIGITAL_SIGNATURE;
  EVERGROVE_RETURN_IF_ERROR(
      check(mbedtls_x509write_crt_set_key_usage(writer.get(), usage), "usage"));
  EVERGROVE_RETURN_IF_ERROR(
      check(mbedtls_x509write_crt_set_subject_key_identifier(writer.get()), "subject"));
  EVERGROVE_RETURN_IF_ERROR(
      check(mbedtls_x509write_crt_set_authority_key_identifier(writer.get()), "authority"));
  if (contents.is_ca) return {};
  constexpr std::string_view kNames(MBEDTLS_OID_SUBJECT_ALT_NAME,
                                    sizeof MBEDTLS_OID_SUBJECT_ALT_NAME - 1);
  EVERGROVE_RETURN_IF_ERROR(set_extension(writer, kNames, contents.alternative_names));
  constexpr std::string_view kUsage(MBEDTLS_OID_EXTENDED_KEY_USAGE,
                                    sizeof MBEDTLS_OID_EXTENDED_KEY_USAGE - 1);
  constexpr std::string_view kServer(MBEDTLS_OID_SERVER_AUTH, sizeof MBEDTLS_OID_SERVER_AUTH - 1);
  return set_extension(writer, kUsage, der(kDerSequence, der(0x06, kServer)));
}

Result<std::string> make_certificate(const Contents& contents, Generator& generator) {
  CertificateWriter writer;
  mbedtls_x509write_crt_set_version(writer.get(), MBEDTLS_X509_CRT_VERSION_3);
  mbedtls_x509write_crt_set_md_alg(writer.get(), MBEDTLS_MD_SHA256);
  mbedtls_x509write_crt_set_subject_key(writer.get(), contents.subject_key);
  mbedtls_x509write_crt_set_issuer_key(writer.get(), contents.issuer_key);
  EVERGROVE_RETURN_IF_ERROR(
      check(mbedtls_x509write_crt_set_subject_name(writer.get(), contents.subject), "subject"));
  EVERGROVE_RETURN_IF_ERROR(
      check(mbedtls_x509write_crt_set_issuer_name(writer.get(), kCaName), "issuer"));
  std::array<unsigned char, 16> serial_bytes;
  EVERGROVE_RETURN_IF_ERROR(
      check(mbedtls_ctr_drbg_random(generator.get(), serial_bytes.data(), serial_bytes.size()),
            "serial"));
  serial_bytes[0] = (serial_bytes[0] & 0x3f) | 0x40;  // positive, and of its whole length
  Number serial;
  EVERGROVE_RETURN_IF_ERROR(check(
      mbedtls_mpi_read_binary(serial.get(), serial_bytes.data(), serial_bytes.size()), "serial"));
  EVERGROVE_RETURN_IF_ERROR(
      check(mbedtls_x509write_crt_set_serial(writer.get(), serial.get()), "serial"));
  constexpr time_t kDay = 24 * 60 * 60;
  const time_t now = std::time(nullptr);
  // From yesterday on, for machines whose clock is late.
  EVERGROVE_RETURN_IF_ERROR(
      check(mbedtls_x509write_crt_set_validity(writer.get(), time_text(now - kDay).c_str(),
                                               time_text(now + kDaysValid * kDay).c_str()),
            "validity"));
  EVERGROVE_RETURN_IF_ERROR(set_extensions(writer, contents));
  std::string pem(kPemBytesMax, '\0');
  EVERGROVE_RETURN_IF_ERROR(
      check(mbedtls_x509write_crt_pem(writer.get(), reinterpret_cast<unsigned char*>(pem.data()),
                                      pem.size(), mbedtls_ctr_drbg_random, generator.get()),
            "certificate"));
  pem.resize(std::strlen(pem.c_str()));
  return pem;
}

// Writes a new file, which nobody else may read if it is secret.
Status write_new(const std::string& path, std::string_view bytes, bool is_secret) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                               is_secret ? 0600 : 0644));
  if (!file.is_open() && errno == EEXIST) {
    return invalid_input("Credentials are there already; give another folder, or remove them",
                         {{"path", path}});
  }
  if (!file.is_open()) {
    return invalid_input("The file could not be made; check the folder",
                         {{"path", path}, {"reason", std::strerror(errno)}});
  }
  size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t count = ::write(file.get(), bytes.data() + written, bytes.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    written += static_cast<size_t>(count);
  }
  if (written == bytes.size() && ::fsync(file.get()) == 0) return {};
  Status failed = storage_error("The file could not be written",
                                {{"path", path}, {"reason", std::strerror(errno)}});
  ::unlink(path.c_str());
  return failed;
}

Status seed(Generator& generator, Entropy& entropy) {
  return check(
      mbedtls_ctr_drbg_seed(generator.get(), mbedtls_entropy_func, entropy.get(), nullptr, 0),
      "randomness");
}

Result<std::string> random_token(Generator& generator) {
  std::array<unsigned char, kTokenBytes> token;
  EVERGROVE_RETURN_IF_ERROR(
      check(mbedtls_ctr_drbg_random(generator.get(), token.data(), token.size()), "token"));
  return hex(token);
}

}  // namespace

Result<std::string> make_token() {
  Entropy entropy;
  Generator generator;
  EVERGROVE_RETURN_IF_ERROR(seed(generator, entropy));
  return random_token(generator);
}

Result<Credentials> make_credentials(const std::vector<std::string>& hosts) {
  std::string names = alternative_name(kCredentialsName) + alternative_name("localhost") +
                      alternative_name("127.0.0.1") + alternative_name("::1");
  if (hosts.size() > kHostsMax) {
    return invalid_input("There are too many hosts; processes of a run need none, leave them out",
                         {{"hosts_max", std::to_string(kHostsMax)}});
  }
  for (const std::string& host : hosts) {
    if (!is_host_name(host)) {
      return invalid_input("A host is a name or an address, without a port; give one so",
                           {{"host", host.substr(0, 300)}});
    }
    names += alternative_name(host);
  }
  Entropy entropy;
  Generator generator;
  EVERGROVE_RETURN_IF_ERROR(seed(generator, entropy));
  Key ca_key;
  Key key;
  EVERGROVE_RETURN_IF_ERROR(make_key(ca_key, generator));
  EVERGROVE_RETURN_IF_ERROR(make_key(key, generator));
  Credentials credentials;
  EVERGROVE_ASSIGN_OR_RETURN(
      credentials.ca_pem,
      make_certificate({kCaName, ca_key.get(), ca_key.get(), /*is_ca=*/true, ""}, generator));
  EVERGROVE_ASSIGN_OR_RETURN(credentials.cert_pem,
                             make_certificate({kCertificateName, key.get(), ca_key.get(),
                                               /*is_ca=*/false, der(kDerSequence, names)},
                                              generator));
  std::array<unsigned char, 4096> key_pem = {};
  EVERGROVE_RETURN_IF_ERROR(
      check(mbedtls_pk_write_key_pem(key.get(), key_pem.data(), key_pem.size()), "key"));
  credentials.key_pem = reinterpret_cast<const char*>(key_pem.data());
  EVERGROVE_ASSIGN_OR_RETURN(credentials.token, random_token(generator));
  return credentials;
}

Status write_credentials(const Credentials& credentials, const std::string& folder) {
  if (folder.empty()) return invalid_input("The folder for the credentials is empty; give one");
  EVERGROVE_RETURN_IF_ERROR(make_folder(folder));
  struct File {
    const char* name;
    std::string bytes;
    bool is_secret;
  };
  const File files[] = {{"key.pem", credentials.key_pem, true},
                        {"token", credentials.token + "\n", true},
                        {"cert.pem", credentials.cert_pem, false},
                        {"ca.pem", credentials.ca_pem, false}};
  for (const File& file : files) {
    struct stat about = {};
    const std::string path = folder + "/" + file.name;
    if (::lstat(path.c_str(), &about) == 0) {
      return invalid_input("Credentials are there already; give another folder, or remove them",
                           {{"path", path}});
    }
  }
  for (const File& file : files) {
    EVERGROVE_RETURN_IF_ERROR(write_new(folder + "/" + file.name, file.bytes, file.is_secret));
  }
  return {};
}

Result<std::string> read_token_file(const std::string& path) {
  struct stat about = {};
  if (::stat(path.c_str(), &about) != 0 && errno == ENOENT) {
    return not_found("There is no such token file; make one by `evergrove credentials --out DIR`",
                     {{"path", path}});
  }
  if (S_ISREG(about.st_mode) && (about.st_mode & 077) != 0) {
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(about.st_mode & 07777));
    return invalid_input(
        "Others than its owner may read or change the token file; `chmod 600` it, and make a new "
        "token if somebody may have read it",
        {{"path", path}, {"mode", mode}});
  }
  EVERGROVE_ASSIGN_OR_RETURN(std::string token, read_file(path));
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  if (token.empty()) {
    return invalid_input("The token file is empty; make one by `evergrove credentials --out DIR`",
                         {{"path", path}});
  }
  const bool is_visible = std::ranges::all_of(token, [](char c) { return c > ' ' && c <= '~'; });
  if (!is_visible || token.size() > kTokenFileBytesMax) {
    return invalid_input(
        "A token file has one line of visible ASCII characters without blanks; "
        "make one by `evergrove credentials --out DIR`",
        {{"path", path}});
  }
  return token;
}

bool is_made_by_us(std::string_view ca_pem) {
  Certificate certificate;
  const std::string text(ca_pem);  // which ends with a zero, as Mbed TLS wants it of a PEM
  if (mbedtls_x509_crt_parse(certificate.get(),
                             reinterpret_cast<const unsigned char*>(text.c_str()),
                             text.size() + 1) != 0) {
    return false;
  }
  char subject[256] = {};
  const int size = mbedtls_x509_dn_gets(subject, sizeof subject, &certificate.get()->subject);
  return size > 0 && std::string_view(subject) == kCaName && certificate.get()->next == nullptr;
}

}  // namespace evergrove::runtime
