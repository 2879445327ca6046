package ofp

import (
	"fmt"
	"strings"
)

// Error is an error message of the switch; its xid is that of the message that was wrong. It is a Go error.
type Error struct {
	Type         ErrorType
	Code         uint16 // exp_type if Type is ErrExperimenter
	Experimenter uint32 // if Type is ErrExperimenter
	// Data is the beginning of the message that was wrong, at least 64 bytes of it if it was as long, or a text.
	Data []byte
}

// ErrorType is the type of an error (OFPET_*).
type ErrorType uint16

// Types of errors (OpenFlow 1.5, section 7.5.4).
const (
	ErrHelloFailed ErrorType = iota
	ErrBadRequest
	ErrBadAction
	ErrBadInstruction
	ErrBadMatch
	ErrFlowModFailed
	ErrGroupModFailed
	ErrPortModFailed
	ErrTableModFailed
	ErrQueueOpFailed
	ErrSwitchConfigFailed
	ErrRoleRequestFailed
	ErrMeterModFailed
	ErrTableFeaturesFailed
	ErrBadProperty
	ErrAsyncConfigFailed
	ErrFlowMonitorFailed
	ErrBundleFailed
	ErrExperimenter ErrorType = 0xffff
)

// BundleMsgFailed is the code of ErrBundleFailed that tells that a message of the bundle failed (OFPBFC_MSG_FAILED).
const BundleMsgFailed = 13

const (
	vendorNicira = 0x00002320
	vendorONF    = 0x4f4e4600
)

func (*Error) typ() uint8 { return typeError }

func (m *Error) appendTo(b []byte) ([]byte, error) {
	b = append16(append16(b, uint16(m.Type)), m.Code)
	if m.Type == ErrExperimenter {
		b = append32(b, m.Experimenter)
	}
	return append(b, m.Data...), nil
}

func decodeError(r *reader) Message {
	m := &Error{Type: ErrorType(r.u16()), Code: r.u16()}
	if m.Type == ErrExperimenter {
		m.Experimenter = r.u32()
	}
	m.Data = r.rest()
	return m
}

// Error gives the name of the code, such as OFPBMC_BAD_PREREQ.
func (m *Error) Error() string {
	if m.Type == ErrHelloFailed && len(m.Data) > 0 {
		return m.Name() + ": " + strings.ToValidUTF8(string(m.Data), "?")
	}
	return m.Name()
}

// Name gives the name of the code in the specification, or the numbers.
func (m *Error) Name() string {
	if m.Type == ErrExperimenter {
		if name, ok := niciraErrors[m.Code]; ok && m.Experimenter == vendorNicira {
			return name
		}
		return fmt.Sprintf("error %d of experimenter 0x%08x", m.Code, m.Experimenter)
	}
	if int(m.Type) < len(errorNames) {
		prefix, codes, _ := strings.Cut(errorNames[m.Type], " ")
		if names := strings.Fields(codes); int(m.Code) < len(names) {
			return prefix + names[m.Code]
		}
	}
	return fmt.Sprintf("error of type %d, code %d", m.Type, m.Code)
}

// errorNames gives the prefix of the codes of each type and the codes in order.
var errorNames = [...]string{
	ErrHelloFailed: "OFPHFC_ INCOMPATIBLE EPERM",
	ErrBadRequest: "OFPBRC_ BAD_VERSION BAD_TYPE BAD_MULTIPART BAD_EXPERIMENTER BAD_EXP_TYPE EPERM BAD_LEN BUFFER_EMPTY " +
		"BUFFER_UNKNOWN BAD_TABLE_ID IS_SECONDARY BAD_PORT BAD_PACKET MULTIPART_BUFFER_OVERFLOW " +
		"MULTIPART_REQUEST_TIMEOUT MULTIPART_REPLY_TIMEOUT MULTIPART_BAD_SCHED PIPELINE_FIELDS_ONLY UNKNOWN",
	ErrBadAction: "OFPBAC_ BAD_TYPE BAD_LEN BAD_EXPERIMENTER BAD_EXP_TYPE BAD_OUT_PORT BAD_ARGUMENT EPERM TOO_MANY " +
		"BAD_QUEUE BAD_OUT_GROUP MATCH_INCONSISTENT UNSUPPORTED_ORDER BAD_TAG BAD_SET_TYPE BAD_SET_LEN " +
		"BAD_SET_ARGUMENT BAD_SET_MASK BAD_METER",
	ErrBadInstruction: "OFPBIC_ UNKNOWN_INST UNSUP_INST BAD_TABLE_ID UNSUP_METADATA UNSUP_METADATA_MASK " +
		"BAD_EXPERIMENTER BAD_EXP_TYPE BAD_LEN EPERM DUP_INST",
	ErrBadMatch: "OFPBMC_ BAD_TYPE BAD_LEN BAD_TAG BAD_DL_ADDR_MASK BAD_NW_ADDR_MASK BAD_WILDCARDS BAD_FIELD BAD_VALUE " +
		"BAD_MASK BAD_PREREQ DUP_FIELD EPERM",
	ErrFlowModFailed: "OFPFMFC_ UNKNOWN TABLE_FULL BAD_TABLE_ID OVERLAP EPERM BAD_TIMEOUT BAD_COMMAND BAD_FLAGS " +
		"CANT_SYNC BAD_PRIORITY IS_SYNC",
	ErrGroupModFailed: "OFPGMFC_ GROUP_EXISTS INVALID_GROUP WEIGHT_UNSUPPORTED OUT_OF_GROUPS OUT_OF_BUCKETS " +
		"CHAINING_UNSUPPORTED WATCH_UNSUPPORTED LOOP UNKNOWN_GROUP CHAINED_GROUP BAD_TYPE BAD_COMMAND BAD_BUCKET " +
		"BAD_WATCH EPERM UNKNOWN_BUCKET BUCKET_EXISTS",
	ErrPortModFailed:      "OFPPMFC_ BAD_PORT BAD_HW_ADDR BAD_CONFIG BAD_ADVERTISE EPERM",
	ErrTableModFailed:     "OFPTMFC_ BAD_TABLE BAD_CONFIG EPERM",
	ErrQueueOpFailed:      "OFPQOFC_ BAD_PORT BAD_QUEUE EPERM",
	ErrSwitchConfigFailed: "OFPSCFC_ BAD_FLAGS BAD_LEN EPERM",
	ErrRoleRequestFailed:  "OFPRRFC_ STALE UNSUP BAD_ROLE ID_UNSUP ID_IN_USE",
	ErrMeterModFailed: "OFPMMFC_ UNKNOWN METER_EXISTS INVALID_METER UNKNOWN_METER BAD_COMMAND BAD_FLAGS BAD_RATE " +
		"BAD_BURST BAD_BAND BAD_BAND_VALUE OUT_OF_METERS OUT_OF_BANDS",
	ErrTableFeaturesFailed: "OFPTFFC_ BAD_TABLE BAD_METADATA",
	ErrBadProperty: "OFPBPC_ BAD_TYPE BAD_LEN BAD_VALUE TOO_MANY DUP_TYPE BAD_EXPERIMENTER BAD_EXP_TYPE BAD_EXP_VALUE " +
		"EPERM",
	ErrAsyncConfigFailed: "OFPACFC_ INVALID UNSUPPORTED EPERM",
	ErrFlowMonitorFailed: "OFPMOFC_ UNKNOWN MONITOR_EXISTS INVALID_MONITOR UNKNOWN_MONITOR BAD_COMMAND BAD_FLAGS " +
		"BAD_TABLE_ID BAD_OUT",
	ErrBundleFailed: "OFPBFC_ UNKNOWN EPERM BAD_ID BUNDLE_EXIST BUNDLE_CLOSED OUT_OF_BUNDLES BAD_TYPE BAD_FLAGS " +
		"MSG_BAD_LEN MSG_BAD_XID MSG_UNSUP MSG_CONFLICT MSG_TOO_MANY MSG_FAILED TIMEOUT BUNDLE_IN_PROGRESS " +
		"SCHED_NOT_SUPPORTED SCHED_FUTURE SCHED_PAST",
}

// niciraErrors are the errors of Open vSwitch that no standard type has (ofp-errors.h of Open vSwitch 3.1).
var niciraErrors = map[uint16]string{
	2: "NXBRC_NXM_INVALID", 3: "NXBRC_NXM_BAD_TYPE", 4: "NXBRC_MUST_BE_ZERO", 5: "NXBRC_BAD_REASON",
	9: "NXBRC_FM_BAD_EVENT", 10: "NXBRC_UNENCODABLE_ERROR", 11: "NXBAC_MUST_BE_ZERO", 12: "NXFMFC_HARDWARE",
	13: "NXFMFC_BAD_TABLE_ID", 15: "NXBAC_BAD_CONJUNCTION", 16: "NXTTMFC_BAD_COMMAND", 17: "NXTTMFC_BAD_OPT_LEN",
	18: "NXTTMFC_BAD_FIELD_IDX", 19: "NXTTMFC_TABLE_FULL", 20: "NXTTMFC_ALREADY_MAPPED", 21: "NXTTMFC_DUP_ENTRY",
	22: "OFPBFC_BAD_VERSION", 23: "NXQOFC_QUEUE_ERROR", 34: "NXR_NOT_SUPPORTED", 35: "NXR_STALE",
	36: "NXST_NOT_CONFIGURED", 37: "NXFMFC_INVALID_TLV_FIELD", 38: "NXTTMFC_INVALID_TLV_DEL",
	39: "NXBAC_BAD_HEADER_TYPE", 40: "NXBAC_UNKNOWN_ED_PROP", 41: "NXBAC_BAD_ED_PROP",
	42: "NXBAC_CT_DATAPATH_SUPPORT", 43: "NXBMC_CT_DATAPATH_SUPPORT", 44: "NXTFFC_DUP_TABLE",
}
