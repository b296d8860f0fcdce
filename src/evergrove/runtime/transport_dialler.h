// Dialling: makes the stream of a connection that we begin, until it is open.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evergrove/runtime/transport.h"
#include "evergrove/runtime/transport_connection.h"
#include "evergrove/runtime/transport_tls.h"

namespace evergrove::runtime {

// Connects to connection.peer_address(), says who we are, and opens the connection. False: it has
// ended instead. `tls`: null for none.
bool open_dialled(const TransportOptions& options, const TransportTls* tls, Connection& connection);

}  // namespace evergrove::runtime
